// The TBSCertificate of a certificate that we make, and the certificate once it is signed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::crypto {

// Everything a certificate says. Nothing of it comes from a CSR but `spki`.
struct CertificateTemplate {
  Bytes serial;                   // content octets, positive, at most 20
  Bytes issuer_name_der;          // empty: self-signed, the subject's own
  std::string common_name;        // of the subject; empty: an empty subject
  std::string organization;       // of the subject; CA certificates only
  Bytes subject_name_der;         // the whole subject, in place of the two; CA certificates only
  Instant not_before, not_after;  // inclusive (RFC 5280 section 4.1.2.5)
  Bytes spki;
  std::vector<std::string> dns_names;  // SAN, critical when the subject is empty
  std::vector<std::string> ip_addresses;
  std::vector<std::string>
      key_usages;  // digitalSignature, keyEncipherment, keyCertSign, cRLSign; critical
  std::vector<std::string> extended_key_usages;  // serverAuth, clientAuth or dotted OIDs
  bool is_ca = false;                            // basicConstraints, critical
  std::optional<int> path_length;
  std::vector<std::string> permitted_dns;  // name constraints, critical; CA only
  std::vector<std::string> permitted_ip;   // CIDR
  Bytes authority_key_id;                  // keyIdentifier; empty: none (a root)
  bool subject_key_id =
      true;                // RFC 7093 method 1: the leftmost 160 bits of SHA-256 of the key bits
  std::string crl_url;     // CDP; empty: none
  std::string issuer_url;  // AIA caIssuers; empty: none
  std::string ocsp_url;    // AIA OCSP; empty: none
};

// A serial: one octet 0x01..0x7f, then 136 random bits (18 octets): positive, over 128 bits random.
Bytes random_serial(Entropy& entropy);

// DER TBSCertificate v3, to be signed with `signer`'s algorithm. Deterministic: the same template
// and algorithm give the same octets. `signature_algorithm` is Signer::algorithm().
Bytes make_tbs(const CertificateTemplate& certificate, ByteView signature_algorithm);

// The Certificate: tbs, algorithm, signature put together. Calls signer.sign() once.
Bytes sign_certificate(ByteView tbs, Signer& signer);

// A PKCS#10 request for the CA that `ca` describes: its subject, key, basicConstraints, keyUsage,
// key identifier and name constraints; serial, dates and issuer are whoever signs it's business.
// Signed once.
Bytes make_ca_request(const CertificateTemplate& ca, Signer& signer);

// PEM of a PKCS#10 request, 64 columns, LF.
std::string request_to_pem(ByteView der);

// The subject name that make_tbs writes for a common name and organization, as DER.
Bytes make_name(const std::string& common_name, const std::string& organization);

// The subject key identifier make_tbs writes for `spki`.
Bytes subject_key_id_of(ByteView spki);

}  // namespace gatehouse::crypto
