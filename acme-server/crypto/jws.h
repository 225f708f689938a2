// Flattened JWS (RFC 7515 section 7.2.2) as RFC 8555 section 6.2 narrows it. Which algorithms exist
// is decided here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

struct JwsError {
  enum class Kind { malformed, bad_algorithm, bad_public_key, bad_nonce_syntax };
  Kind kind = Kind::malformed;
  std::string detail;  // a sentence for the client
};

// A JWS that has the shape the RFC demands; nothing about it is proven yet. Exactly one of `kid`
// and `jwk` is there.
struct Jws {
  std::string algorithm;  // of one of kKeyTypes
  std::optional<std::string> kid;
  std::optional<Jwk> jwk;
  std::optional<std::string> nonce;  // base64url, alphabet checked
  std::string url;
  std::string payload;        // decoded; empty for POST-as-GET
  std::string signing_input;  // protected '.' payload as sent
  Bytes signature;
};

// Parses the body of a POST. Refuses everything of RFC 8555 section 6.2: compact and general form,
// "header", "signatures", a missing or null payload, "b64", "crit", an algorithm not listed, kid
// and jwk together or neither, duplicate members, padding. A missing nonce leaves `nonce` empty; a
// missing url is an error.
//
// The inner JWS of a key rollover (section 7.3.5) is parsed by the same function: its text is the
// outer payload. That it must carry a `jwk` and no nonce, and that both urls are alike, is for the
// caller to say.
Expected<Jws, JwsError> parse_jws(std::string_view body);

// True when `jws` was signed by `key`: algorithm bound to the key type (ES256 is P-256 and nothing
// else), ECDSA signatures exactly r||s with 1 <= r, s < n, RSA PKCS#1 v1.5 of exactly the modulus'
// length.
bool verify_jws(const Jws& jws, KeyType type, const PublicKey& key);

// The JWS of an external account binding (RFC 8555 section 7.3.4), MACed by a key the CA handed
// out: HS256 and nothing else, a `kid`, no `jwk`, no nonce.
struct MacJws {
  std::string kid;
  std::string url;
  std::string payload;  // decoded: the account's public key as a JWK
  std::string signing_input;
  Bytes mac;
};

Expected<MacJws, JwsError> parse_mac_jws(std::string_view text);
// In constant time.
bool verify_mac_jws(const MacJws& jws, const Secret& key);

}  // namespace gatehouse::crypto
