// What a signer is asked: any octets get an answer, and what is signed was a leaf or a CRL.
#include <memory>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "ca-backends/signer/signer_service.h"
#include "tests/support/local_ca_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  static testing::ManualClock clock;
  static const testing::LocalCaFiles files(clock);
  static const backends::SignerService service = [] {
    std::vector<backends::SignerService::Key> keys;
    keys.push_back({.issuer = files.issuer.certificate,
                    .signer = crypto::load_signer(Secret(files.issuer.key_pem), Secret())});
    return backends::SignerService(std::move(keys));
  }();
  if (size == 0) return 0;
  // The right key, or nothing behind the first octet would be looked at.
  Bytes message = {data[0]};
  const auto id = crypto::sha256(ByteView(files.issuer.certificate.spki));
  message.insert(message.end(), id.begin(), id.end());
  message.insert(message.end(), data + 1, data + size);
  ACME_CHECK(!service.answer(message).content.empty());
  (void)service.answer({data, size});
  return 0;
}
