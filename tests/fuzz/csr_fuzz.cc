// PKCS#10 requests: what parses has its own octets, a key that round-trips, and names within
// bounds.
#include "acme-server/base/check.h"
#include "acme-server/crypto/csr.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const ByteView der(data, size);
  const auto csr = crypto::parse_csr(der);
  if (!csr) {
    ACME_CHECK(csr.error().starts_with("The CSR"));
    return 0;
  }
  ACME_CHECK(csr->der == Bytes(der.begin(), der.end()));
  ACME_CHECK(csr->spki == crypto::subject_public_key_info(csr->key));
  ACME_CHECK(csr->dns_names.size() + csr->ip_addresses.size() <= crypto::kMaxCsrNames);
  return 0;
}
