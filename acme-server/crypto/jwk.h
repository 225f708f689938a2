// Public keys as JWK (RFC 7517) and their thumbprints (RFC 7638). No OpenSSL header in sight.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"

namespace gatehouse::crypto {

enum class KeyType { rsa, ec_p256, ec_p384, ec_p521, ed25519 };

struct KeyTypeName {
  KeyType type;
  std::string_view word;   // in the config: "ec-p256"
  std::string_view title;  // in a sentence: "EC P-256"
  // The one JWS algorithm of the type (RFC 7518 section 3.1, RFC 8037 section 3.1), so that a
  // header chooses nothing.
  std::string_view jws_algorithm;
};

// Every type, in the order of the enumerators.
inline constexpr std::array<KeyTypeName, 5> kKeyTypes = {{
    {KeyType::rsa, "rsa", "RSA", "RS256"},
    {KeyType::ec_p256, "ec-p256", "EC P-256", "ES256"},
    {KeyType::ec_p384, "ec-p384", "EC P-384", "ES384"},
    {KeyType::ec_p521, "ec-p521", "EC P-521", "ES512"},
    {KeyType::ed25519, "ed25519", "Ed25519", "EdDSA"},
}};

const KeyTypeName& names_of(KeyType type);
// The word and the title of a type.
std::string_view to_string(KeyType type);
std::string describe(KeyType type);
// The type of a word; nothing for any other text.
std::optional<KeyType> key_type_from(std::string_view word);

// A public key that verifies: OpenSSL's key behind a pointer that only crypto looks into.
// Immutable, safe to share.
class PublicKey;
using PublicKeyRef = std::shared_ptr<const PublicKey>;

// A public key as a client sent it in a `jwk`, checked to be well formed: a supported kty and
// curve, canonical base64url, an EC point on its curve, no private member, no leading zeros counted
// (RFC 7638 section 3.3). Whether we accept such a key is key_policy's business. A value; its
// members are not trusted beyond that.
struct Jwk {
  KeyType type = KeyType::ec_p256;
  Bytes modulus, exponent;  // RSA, without leading zeros
  Bytes x, y;               // EC: fixed length; Ed25519: x alone

  friend bool operator==(const Jwk&, const Jwk&) = default;
};

// Reads a JWK object. The error is a sentence that names the member and what is wrong with it: a
// badPublicKey detail.
Expected<Jwk, std::string> parse_jwk(const Json& jwk);

// The required members only, in lexical order, no white space: what RFC 7638 hashes and what the
// store keeps.
std::string canonical_json(const Jwk& key);

// base64url(SHA-256(canonical_json)): 43 characters.
std::string thumbprint(const Jwk& key);

// DER SubjectPublicKeyInfo of the key, as it would stand in a certificate, and its SHA-256 in hex:
// how "this account key" and "this certificate key" are compared, and how blocked keys are listed.
Bytes subject_public_key_info(const Jwk& key);
std::string spki_sha256(const Jwk& key);

// Builds the key for verification (EVP_PKEY_fromdata, not the slow decoder). Call it after
// key_policy has seen it.
PublicKeyRef make_public_key(const Jwk& key);

}  // namespace gatehouse::crypto
