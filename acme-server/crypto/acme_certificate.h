// The certificate with which a server answers tls-alpn-01 (RFC 8737 section 3), judged. No OpenSSL
// header in sight.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/crypto/digest.h"

namespace gatehouse::crypto {

// id-pe-acmeIdentifier.
inline constexpr std::string_view kAcmeIdentifierOid = "1.3.6.1.5.5.7.1.31";

// What the certificate must prove: one name, and who asked for it.
struct AcmeCertificateTerms {
  std::string dns_name;              // A-labels, for a DNS name; unused for an address
  std::optional<IpAddress> address;  // RFC 8738 section 6
  Sha256 digest;                     // of the key authorization
};

// Nothing when `der` is what `terms` ask for: an X.509 certificate, version 3, that is issued and
// signed by itself; one subjectAltName with that name (DNS names compare without case, RFC 4343)
// and nothing else, to the octet as DER has it; one critical acmeIdentifier that is an OCTET STRING
// of the digest; no extension twice. Other extensions and the dates do not matter. Else a sentence
// without a stop that says what is wrong with "the certificate".
std::optional<std::string> why_not_acme_certificate(ByteView der,
                                                    const AcmeCertificateTerms& terms);

// DER GeneralNames of one name, as they must stand in that certificate.
Bytes alternative_name_of(std::string_view dns_name);
Bytes alternative_name_of(const IpAddress& address);

}  // namespace gatehouse::crypto
