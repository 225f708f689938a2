// CRLs read back: what parses can be put into a builder again.
#include "acme-server/base/check.h"
#include "acme-server/crypto/crl.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const auto crl = crypto::parse_crl({data, size});
  if (!crl) {
    ACME_CHECK(crl.error().starts_with("The CRL"));
    return 0;
  }
  crypto::CrlBuilder builder;
  for (const crypto::CrlEntry& entry : crl->entries) {
    if (entry.serial.size() <= 40) builder.add(entry);
  }
  return 0;
}
