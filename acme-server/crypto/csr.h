// A PKCS#10 request (RFC 2986) as a value. No OpenSSL header in sight.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

// What we look at in a CSR. Names are as written, neither normalised nor checked; that is core's
// business.
struct Csr {
  Bytes der;
  Bytes spki;  // SubjectPublicKeyInfo, the very octets, copied into the certificate
  Jwk key;     // the same key, taken apart
  std::vector<std::string> common_names;  // of the subject, all of them
  std::vector<std::string> dns_names;     // subjectAltName
  std::vector<std::string> ip_addresses;  // subjectAltName, canonical text
  bool must_staple = false;               // asks for RFC 7633 status_request
};

// Parses `der` through our own ASN.1 templates, the key left undecoded until its shape has been
// seen, and verifies the request's own signature (SHA-256/384/512 with RSA or ECDSA, or Ed25519).
// The error is a sentence for badCSR: trailing bytes, a version other than 0 or 2, two
// extensionRequests, a SAN of another type (e-mail, URI, …), a SAN that is not an IA5String without
// NUL, an iPAddress of other than 4 or 16 octets, a signature that does not verify,
// basicConstraints CA:TRUE, more than kMaxCsrNames names.
Expected<Csr, std::string> parse_csr(ByteView der);

inline constexpr std::size_t kMaxCsrBytes =
    32 * 1024;  // 100 names and an RSA-4096 key take under 10 KiB
inline constexpr std::size_t kMaxCsrNames = 100;

}  // namespace gatehouse::crypto
