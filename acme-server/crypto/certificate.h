// An X.509 certificate (RFC 5280) as a value, and PEM chains of them. No OpenSSL header in sight.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

// Everything about a certificate that anyone above compares. Times are UTC seconds, both ends
// inclusive.
struct Certificate {
  Bytes der;
  Bytes tbs;           // TBSCertificate, the signed octets
  std::string serial;  // lower-case hex of the content octets, without a leading 00
  std::string issuer_name, subject_name;  // RFC 4514-like, for people
  Bytes issuer_name_der, subject_name_der;
  Instant not_before, not_after;
  Bytes spki;  // SubjectPublicKeyInfo
  std::vector<std::string> common_names;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  bool has_other_names = false;            // a SAN of any other type
  Bytes authority_key_id, subject_key_id;  // keyIdentifier contents; empty when absent
  bool is_ca = false;
  std::optional<int> path_length;
  bool key_cert_sign = false, crl_sign = false;
  std::vector<std::string> key_usages;  // digitalSignature, keyEncipherment, keyCertSign, …
  std::vector<std::string> extended_key_usages;  // dotted OIDs
  std::vector<std::string> crl_urls;
  std::vector<std::string> issuer_urls;  // AIA caIssuers

  friend bool operator==(const Certificate&, const Certificate&) = default;
};

inline constexpr std::size_t kMaxCertificateBytes = std::size_t{64} * 1024;

// Parses DER, nothing behind it. The error is a sentence.
Expected<Certificate, std::string> parse_certificate(ByteView der);

// What `tbs` would be as a certificate signed with `algorithm` (DER AlgorithmIdentifier); its
// signature is none, so `der` of the result verifies with no key. For who is asked to sign it.
Expected<Certificate, std::string> parse_tbs_certificate(ByteView tbs, ByteView algorithm);

// The SubjectPublicKeyInfo's key, for comparing and for revocation by key; empty when of a type
// that we never issue.
std::optional<Jwk> jwk_of_spki(ByteView spki);

// SHA-256 in hex of a SubjectPublicKeyInfo.
std::string spki_sha256_of(ByteView spki);

// True when `certificate` was signed with the private key of `issuer`. Checks the signature alone.
bool is_signed_by(const Certificate& certificate, const Certificate& issuer);

// Why is_signed_by() cannot be true whoever signed: the algorithm, by name, or the issuer's key is
// of a kind that is not accepted. A sentence; nothing when neither is the reason.
std::optional<std::string> why_unverifiable(const Certificate& certificate,
                                            const Certificate& issuer);

// Strict PEM of one certificate, 64 columns, LF (RFC 8555 section 9.1).
std::string to_pem(ByteView certificate_der);
// Every certificate in a PEM text, in order. The error is a sentence; text between blocks is
// allowed (files of ours).
Expected<std::vector<Certificate>, std::string> parse_pem_chain(std::string_view pem);

// Nothing when `chain` (leaf first, each signed by the next, CA flags and validity as they should
// be at `now`) ends in something signed by `root` or in `root` itself; else a sentence that names
// the link that breaks.
std::optional<std::string> why_chain_fails(const std::vector<Certificate>& chain,
                                           const Certificate& root, Instant now);

}  // namespace gatehouse::crypto
