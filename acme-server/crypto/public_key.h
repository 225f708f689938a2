// PublicKey, verification with it, and SubjectPublicKeyInfo taken apart. For crypto's .cc files.
#pragma once

#include <optional>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

class PublicKey {
 public:
  PublicKey(KeyType type, PkeyHandle handle);

  KeyType type() const { return type_; }

  // True when `signature`, in the form OpenSSL wants (ECDSA in DER), was made over `message` with
  // `digest` (null for Ed25519).
  bool verifies(const EVP_MD* digest, ByteView message, ByteView signature) const;

  // The same for RSASSA-PSS (RFC 8017 section 8.1) with MGF1 over `digest` and a salt of
  // `salt_bytes`; the key is RSA.
  bool verifies_pss(const EVP_MD* digest, int salt_bytes, ByteView message,
                    ByteView signature) const;

  std::size_t signature_bytes() const;  // of RSA: the length of the modulus

 private:
  KeyType type_;
  PkeyHandle handle_;
  // Begun for the digest that goes with the type: copying it is cheaper than beginning.
  DigestContext begun_;
};

// RSA keys past these bounds are not even looked at: verification would cost us (CVE-2023-3446's
// kind).
inline constexpr std::size_t kMaxModulusBytes = 1024;
inline constexpr std::size_t kMaxExponentBytes = 8;

// The key inside a SubjectPublicKeyInfo, checked as parse_jwk checks it. The error is a sentence.
Expected<Jwk, std::string> read_spki(ByteView spki);

// The key of a private key in OpenSSL's hands. Throws std::runtime_error for a type that we do not
// know.
Jwk jwk_of_pkey(const EVP_PKEY& pkey);

// True when `signature` was made over `message` as the DER AlgorithmIdentifier says: RSA PKCS#1
// v1.5, RSASSA-PSS (MGF1 with the same digest, RFC 4055 section 3.1) or ECDSA with SHA-256, -384 or
// -512, or Ed25519. False for every other algorithm and for one that does not go with the key.
bool verify_x509_signature(ByteView algorithm, const PublicKey& key, ByteView message,
                           ByteView signature);
// Nothing when `algorithm` is one of those; else the rest of a sentence: "is signed with
// the algorithm sha1WithRSAEncryption, which is not accepted; …".
std::optional<std::string> why_algorithm_refused(ByteView algorithm);

// The DER AlgorithmIdentifier that a key of `type` signs X.509 with, and its digest (null for
// Ed25519).
ByteView signature_algorithm_of(KeyType type);
const EVP_MD* signature_digest_of(KeyType type);

}  // namespace gatehouse::crypto
