// Certificates, DER and PEM: what parses comes back from PEM as it was, and checking its signature
// does no harm.
#include "acme-server/base/check.h"
#include "acme-server/crypto/certificate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const ByteView octets(data, size);
  if (const auto certificate = crypto::parse_certificate(octets)) {
    ACME_CHECK(crypto::parse_pem_chain(crypto::to_pem(certificate->der)).value() ==
               std::vector{*certificate});
    crypto::is_signed_by(*certificate, *certificate);
    crypto::why_chain_fails({*certificate}, *certificate, certificate->not_before);
  }
  crypto::parse_pem_chain(as_text(octets));
  return 0;
}
