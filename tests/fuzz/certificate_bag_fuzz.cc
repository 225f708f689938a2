// Files of certificates from other CAs: what is in them is what reading each alone gives, and a
// path looked for among them does no harm.
#include "acme-server/base/check.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/crypto/name_constraints.h"
#include "acme-server/crypto/path.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const auto bag = crypto::read_certificate_bag(ByteView(data, size));
  if (!bag) return 0;
  for (const crypto::Certificate& each : bag->certificates) {
    ACME_CHECK(crypto::parse_certificate(each.der).value() == each);
    crypto::read_name_constraints(each);
    crypto::build_path(each, bag->certificates, std::nullopt, each.not_before);
  }
  return 0;
}
