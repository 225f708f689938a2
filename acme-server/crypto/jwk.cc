#include "acme-server/crypto/jwk.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/curve.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/public_key.h"

namespace gatehouse::crypto {

namespace {

// RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1: what belongs to private and symmetric keys.
constexpr std::array<std::string_view, 8> kPrivateMembers = {"d",  "p",  "q",   "dp",
                                                             "dq", "qi", "oth", "k"};

Unexpected<std::string> wrong_jwk(std::string sentence) {
  return {std::move(sentence)};
}

// The text of a member; nothing when it is missing or no string.
const std::string* text_of(const Json& jwk, std::string_view member) {
  const auto found = jwk.find(member);
  return found == jwk.end() || !found->is_string() ? nullptr
                                                   : &found->get_ref<const std::string&>();
}

Expected<Bytes, std::string> octets_of(const Json& jwk, std::string_view member,
                                       std::size_t max_bytes) {
  const std::string name(member);
  const std::string* text = text_of(jwk, member);
  if (text == nullptr) return wrong_jwk("jwk member \"" + name + "\" must be a string");
  if (text->size() > max_bytes * 4 / 3 + 2) {
    return wrong_jwk("jwk member \"" + name + "\" is longer than " + std::to_string(max_bytes) +
                     " octets");
  }
  std::optional<Bytes> octets = base64url_decode(*text);
  if (!octets) return wrong_jwk("jwk member \"" + name + "\" is not base64url without padding");
  return std::move(*octets);
}

// RFC 7518 section 6.3.1.1: some implementations put a zero octet in front; the number is what
// counts.
Expected<Bytes, std::string> number_of(const Json& jwk, std::string_view member,
                                       std::size_t max_bytes) {
  Expected<Bytes, std::string> octets = octets_of(jwk, member, max_bytes + 1);
  if (!octets) return octets;
  const auto first = std::ranges::find_if(*octets, [](std::uint8_t octet) { return octet != 0; });
  octets->erase(octets->begin(), first);
  if (octets->empty()) return wrong_jwk("jwk member \"" + std::string(member) + "\" is zero");
  if (octets->size() > max_bytes) {
    return wrong_jwk("jwk member \"" + std::string(member) + "\" is longer than " +
                     std::to_string(max_bytes) + " octets");
  }
  return octets;
}

Expected<Jwk, std::string> parse_rsa(const Json& jwk) {
  Expected<Bytes, std::string> modulus = number_of(jwk, "n", kMaxModulusBytes);
  if (!modulus) return wrong_jwk(std::move(modulus).error());
  Expected<Bytes, std::string> exponent = number_of(jwk, "e", kMaxExponentBytes);
  if (!exponent) return wrong_jwk(std::move(exponent).error());
  return Jwk{.type = KeyType::rsa,
             .modulus = std::move(*modulus),
             .exponent = std::move(*exponent),
             .x = {},
             .y = {}};
}

Expected<Jwk, std::string> parse_ec(const Json& jwk) {
  const std::string* name = text_of(jwk, "crv");
  const Curve* curve = name == nullptr ? nullptr : find_curve(*name);
  if (curve == nullptr)
    return wrong_jwk("jwk member \"crv\" must be P-256, P-384 or P-521 for the kty EC");
  Jwk key{.type = curve->type, .modulus = {}, .exponent = {}, .x = {}, .y = {}};
  for (const auto& [member, into] : {std::pair{"x", &key.x}, std::pair{"y", &key.y}}) {
    Expected<Bytes, std::string> octets = octets_of(jwk, member, curve->bytes);
    if (!octets) return wrong_jwk(std::move(octets).error());
    // RFC 7518 section 6.2.1.2: "The length of this octet string MUST be the full size of a
    // coordinate".
    if (octets->size() != curve->bytes) {
      return wrong_jwk("jwk member \"" + std::string(member) + "\" must be " +
                       std::to_string(curve->bytes) + " octets on " + *name);
    }
    *into = std::move(*octets);
  }
  if (!is_on_curve(*curve, key.x, key.y))
    return wrong_jwk("the jwk is not a point of the curve " + *name);
  return key;
}

Expected<Jwk, std::string> parse_okp(const Json& jwk) {
  const std::string* name = text_of(jwk, "crv");
  if (name == nullptr || *name != "Ed25519")
    return wrong_jwk("jwk member \"crv\" must be Ed25519 for the kty OKP");
  Expected<Bytes, std::string> x = octets_of(jwk, "x", 32);
  if (!x) return wrong_jwk(std::move(x).error());
  if (x->size() != 32) return wrong_jwk("jwk member \"x\" must be 32 octets on Ed25519");
  if (!is_ed25519_point(*x)) return wrong_jwk("the jwk is not a point of the curve Ed25519");
  return Jwk{.type = KeyType::ed25519, .modulus = {}, .exponent = {}, .x = std::move(*x), .y = {}};
}

}  // namespace

static_assert(std::ranges::all_of(kKeyTypes, [](const KeyTypeName& name) {
  return &name == &kKeyTypes.at(static_cast<std::size_t>(name.type));
}));

const KeyTypeName& names_of(KeyType type) {
  return kKeyTypes.at(static_cast<std::size_t>(type));
}

std::string_view to_string(KeyType type) {
  return names_of(type).word;
}

std::string describe(KeyType type) {
  return std::string(names_of(type).title);
}

std::optional<KeyType> key_type_from(std::string_view word) {
  const auto* const name = std::ranges::find(kKeyTypes, word, &KeyTypeName::word);
  return name == kKeyTypes.end() ? std::nullopt : std::optional(name->type);
}

Expected<Jwk, std::string> parse_jwk(const Json& jwk) {
  if (!jwk.is_object()) return wrong_jwk("the jwk must be an object");
  for (const std::string_view member : kPrivateMembers) {
    if (jwk.contains(member)) {
      return wrong_jwk(
          "the jwk has the member \"" + std::string(member) +
          "\", which belongs to a private or symmetric key; make a new key, this one is "
          "no longer secret");
    }
  }
  if (const auto use = jwk.find("use"); use != jwk.end() && *use != "sig") {
    return wrong_jwk("jwk member \"use\" must be sig where it is given");
  }
  const std::string* type = text_of(jwk, "kty");
  if (type == nullptr) return wrong_jwk("jwk member \"kty\" must be a string");
  if (*type == "RSA") return parse_rsa(jwk);
  if (*type == "EC") return parse_ec(jwk);
  if (*type == "OKP") return parse_okp(jwk);
  return wrong_jwk("jwk member \"kty\" must be RSA, EC or OKP, not \"" + sanitize(*type, 20) +
                   "\"");
}

// Written by hand: every value is base64url or a constant, and the order is RFC 7638's lexical one.
std::string canonical_json(const Jwk& key) {
  switch (key.type) {
    case KeyType::rsa:
      return R"({"e":")" + base64url_encode(key.exponent) + R"(","kty":"RSA","n":")" +
             base64url_encode(key.modulus) + "\"}";
    case KeyType::ec_p256:
    case KeyType::ec_p384:
    case KeyType::ec_p521:
      return R"({"crv":")" + std::string(curve_of(key.type).jwk_name) + R"(","kty":"EC","x":")" +
             base64url_encode(key.x) + R"(","y":")" + base64url_encode(key.y) + "\"}";
    case KeyType::ed25519:
      return R"({"crv":"Ed25519","kty":"OKP","x":")" + base64url_encode(key.x) + "\"}";
  }
  ACME_CHECK(false);
  return {};
}

std::string thumbprint(const Jwk& key) {
  return base64url_encode(sha256(canonical_json(key)));
}

std::string spki_sha256(const Jwk& key) {
  return sha256_hex(subject_public_key_info(key));
}

}  // namespace gatehouse::crypto
