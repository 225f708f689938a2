#include "acme-server/crypto/jws.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/curve.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/public_key.h"

namespace gatehouse::crypto {

namespace {

using Kind = JwsError::Kind;

constexpr std::size_t kMaxKeyIdBytes = 2048;  // a URL of ours, or the id of an external account key
constexpr std::size_t kMaxUrlBytes = 2048;
constexpr std::string_view kMacAlgorithm = "HS256";

// Ends the parsing of one JWS; never leaves this file.
struct Refused {
  JwsError error;
};

[[noreturn]] void refuse(Kind kind, std::string detail) {
  throw Refused{{kind, std::move(detail)}};
}

[[noreturn]] void malformed(std::string detail) {
  refuse(Kind::malformed, std::move(detail));
}

// The three parts of a flattened JWS, decoded, and its protected header.
struct JwsParts {
  Json header;
  std::string payload;
  std::string signing_input;
  Bytes signature;
};

const std::string& text_in(const JsonObject& jws, std::string_view member) {
  const Json* value = jws.find(member);
  if (value == nullptr || !value->is_string()) {
    malformed("The JWS has no string \"" + std::string(member) +
              "\"; a flattened JWS has protected, payload and signature");
  }
  return value->get_ref<const std::string&>();
}

Bytes decoded(std::string_view member, const std::string& text) {
  std::optional<Bytes> octets = base64url_decode(text);
  if (!octets)
    malformed("The JWS member \"" + std::string(member) + "\" is not base64url without padding");
  return std::move(*octets);
}

JwsParts take_apart(std::string_view text) {
  const Json json = parse_json(text);
  if (!json.is_object()) malformed("The body is not a JWS in flattened JSON serialization");
  const JsonObject jws(json, "JWS");
  // RFC 8555 section 6.2: "The JWS MUST NOT have multiple signatures", "MUST NOT use the JWS
  // Unprotected Header".
  for (const std::string_view member : {"signatures", "header"}) {
    if (jws.find(member) != nullptr) {
      malformed("The JWS has \"" + std::string(member) +
                "\"; sign once, with a protected header alone");
    }
  }
  const std::string& header = text_in(jws, "protected");
  const std::string& payload = text_in(jws, "payload");
  const std::string& signature = text_in(jws, "signature");

  JwsParts parts;
  parts.header = parse_json(as_text(decoded("protected", header)));
  if (!parts.header.is_object()) malformed("The JWS's protected header is not a JSON object");
  parts.payload = as_text(decoded("payload", payload));
  parts.signature = decoded("signature", signature);
  if (parts.signature.empty()) malformed("The JWS has an empty signature");
  parts.signing_input = header + '.' + payload;
  return parts;
}

// What every protected header must be: an algorithm, no extension that we would have to understand.
const std::string& algorithm_in(const JsonObject& header) {
  // RFC 7515 section 4.1.11, RFC 8555 section 6.2: extensions named there must be understood; we
  // know none.
  if (header.find("crit") != nullptr)
    malformed("The JWS header has \"crit\"; no extension is supported");
  if (header.find("b64") != nullptr)
    malformed("The JWS header has \"b64\"; unencoded payloads are not supported");
  return header.string("alg", 16);
}

std::string url_in(const JsonObject& header) {
  std::string url = header.string("url", kMaxUrlBytes);
  if (url.empty()) malformed("The JWS header's \"url\" is empty");
  return url;
}

// RFC 8555 section 6.2: "The "jwk" and "kid" fields are mutually exclusive. Servers MUST reject
// requests that contain both."
void read_key(const JsonObject& header, Jws& jws) {
  const Json* kid = header.find("kid");
  const Json* jwk = header.find("jwk");
  if (kid != nullptr && jwk != nullptr)
    malformed(R"(The JWS header has both "kid" and "jwk"; send one of them)");
  if (kid != nullptr) {
    jws.kid = header.string("kid", kMaxKeyIdBytes);
    return;
  }
  if (jwk == nullptr) malformed(R"(The JWS header has neither "kid" nor "jwk")");
  Expected<Jwk, std::string> key = parse_jwk(*jwk);
  if (!key) refuse(Kind::bad_public_key, "The JWS's key is not acceptable: " + key.error());
  if (const auto algorithm = jwk->find("alg");
      algorithm != jwk->end() && *algorithm != jws.algorithm) {
    malformed("The jwk's \"alg\" is not the JWS's, " + jws.algorithm);
  }
  jws.jwk = std::move(*key);
}

void read_nonce(const JsonObject& header, Jws& jws) {
  if (header.find("nonce") == nullptr) return;
  jws.nonce = header.string("nonce", 256);
  // RFC 8555 section 6.5.2: not base64url is malformed, not badNonce; hence a kind of its own.
  if (jws.nonce->empty() || !base64url_decode(*jws.nonce)) {
    refuse(Kind::bad_nonce_syntax, "The JWS header's \"nonce\" is not base64url without padding");
  }
}

Jws read_jws(std::string_view body) {
  JwsParts parts = take_apart(body);
  const JsonObject header(parts.header, "JWS header");
  Jws jws;
  jws.algorithm = algorithm_in(header);
  if (std::ranges::find(kKeyTypes, jws.algorithm, &KeyTypeName::jws_algorithm) == kKeyTypes.end()) {
    refuse(Kind::bad_algorithm, "The JWS algorithm \"" + sanitize(jws.algorithm, 20) +
                                    "\" is not supported; use RS256, ES256, ES384, ES512 or EdDSA");
  }
  read_key(header, jws);
  read_nonce(header, jws);
  jws.url = url_in(header);
  jws.payload = std::move(parts.payload);
  jws.signing_input = std::move(parts.signing_input);
  jws.signature = std::move(parts.signature);
  return jws;
}

MacJws read_mac_jws(std::string_view text) {
  JwsParts parts = take_apart(text);
  const JsonObject header(parts.header, "JWS header");
  if (const std::string& algorithm = algorithm_in(header); algorithm != kMacAlgorithm) {
    refuse(Kind::bad_algorithm, "The external account binding's algorithm \"" +
                                    sanitize(algorithm, 20) + "\" is not supported; use HS256");
  }
  // RFC 8555 section 7.3.4: "The "nonce" field MUST NOT be present"; the kid is the CA's key
  // identifier.
  if (header.find("nonce") != nullptr)
    malformed("The external account binding has a \"nonce\"; leave it out");
  if (header.find("jwk") != nullptr)
    malformed(R"(The external account binding has a "jwk"; name its key in "kid")");
  return {.kid = header.string("kid", kMaxKeyIdBytes),
          .url = url_in(header),
          .payload = std::move(parts.payload),
          .signing_input = std::move(parts.signing_input),
          .mac = std::move(parts.signature)};
}

// Runs a reader and turns its two ways of refusing into a value.
template <class Parsed>
Expected<Parsed, JwsError> outcome_of(Parsed (*read)(std::string_view), std::string_view text) {
  try {
    return read(text);
  } catch (const Refused& refused) {
    return Unexpected{refused.error};
  } catch (const JsonError& error) {
    return Unexpected{
        JwsError{Kind::malformed, std::string("The JWS cannot be read: ") + error.what()}};
  }
}

// RFC 7518 section 3.4: r and s, each as long as the order. Zero passes for a signature of anything
// in careless libraries (CVE-2022-21449), so the range is looked at here, not left to them.
bool verify_ecdsa(const Jws& jws, const PublicKey& key) {
  const Curve& curve = curve_of(key.type());
  if (jws.signature.size() != 2 * curve.bytes) return false;
  const ByteView signature(jws.signature);
  const ByteView r = signature.first(curve.bytes);
  const ByteView s = signature.subspan(curve.bytes);
  if (!is_in_range(curve, r) || !is_in_range(curve, s)) return false;
  return key.verifies(signature_digest_of(key.type()), as_bytes(jws.signing_input),
                      der::sequence({der::integer(r), der::integer(s)}));
}

}  // namespace

Expected<Jws, JwsError> parse_jws(std::string_view body) {
  return outcome_of(read_jws, body);
}

bool verify_jws(const Jws& jws, KeyType type, const PublicKey& key) {
  if (key.type() != type || jws.algorithm != names_of(type).jws_algorithm) return false;
  switch (type) {
    case KeyType::rsa:
      if (jws.signature.size() != key.signature_bytes()) return false;
      return key.verifies(signature_digest_of(type), as_bytes(jws.signing_input), jws.signature);
    case KeyType::ec_p256:
    case KeyType::ec_p384:
    case KeyType::ec_p521:
      return verify_ecdsa(jws, key);
    case KeyType::ed25519:
      return jws.signature.size() == 64 &&
             key.verifies(signature_digest_of(type), as_bytes(jws.signing_input), jws.signature);
  }
  ACME_CHECK(false);
  return false;
}

Expected<MacJws, JwsError> parse_mac_jws(std::string_view text) {
  return outcome_of(read_mac_jws, text);
}

bool verify_mac_jws(const MacJws& jws, const Secret& key) {
  return constant_time_equal(hmac_sha256(key, as_bytes(jws.signing_input)), jws.mac);
}

}  // namespace gatehouse::crypto
