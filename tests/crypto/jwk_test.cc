#include "acme-server/crypto/jwk.h"

#include <doctest/doctest.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <functional>

#include "acme-server/base/base64url.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/curve.h"
#include "acme-server/crypto/digest.h"
#include "tests/support/test_keys.h"

namespace gatehouse::crypto {
namespace {

using testing::TestKey;
using Kind = TestKey::Kind;

constexpr Kind kAllKinds[] = {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519};

std::string zeros(std::size_t octets) {
  return base64url_encode(Bytes(octets));
}

TEST_CASE("the thumbprint of RFC 7638 section 3.1, whatever else the jwk says") {
  const Json jwk = {{"kty", "RSA"},
                    {"n",
                     "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuh"
                     "DR1L6tSoc_BJECPebWK"
                     "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-"
                     "65YGjQR0_FDW2QvzqY368QQMic"
                     "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"
                     "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
                     "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
                    {"e", "AQAB"},
                    {"alg", "RS256"},
                    {"kid", "2011-04-29"}};
  const auto key = parse_jwk(jwk);
  REQUIRE(key);
  CHECK(thumbprint(*key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST_CASE("the thumbprint of RFC 8037 appendix A.3") {
  const auto key = parse_jwk(Json::parse(
      R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"));
  REQUIRE(key);
  CHECK(thumbprint(*key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST_CASE(
    "every kind of key: the SubjectPublicKeyInfo is OpenSSL's, and both ways lead back to the same "
    "jwk") {
  for (const Kind kind : kAllKinds) {
    const TestKey client = TestKey::fixed(kind);
    CAPTURE(client.alg());
    const auto key = parse_jwk(client.jwk());
    REQUIRE(key);
    CHECK(thumbprint(*key) == client.thumbprint());
    CHECK(subject_public_key_info(*key) == client.spki());
    CHECK(spki_sha256(*key) == sha256_hex(client.spki()));
    CHECK(spki_sha256_of(client.spki()) == spki_sha256(*key));
    CHECK(jwk_of_spki(client.spki()) == *key);
    CHECK(*parse_jwk(Json::parse(canonical_json(*key))) == *key);
    CHECK_FALSE(describe(key->type).empty());
  }
}

TEST_CASE("a coordinate that begins with zeros keeps its length") {
  for (const Kind kind : {Kind::p256, Kind::p384, Kind::p521}) {
    std::size_t found = 0;
    for (unsigned scalar = 2; scalar < 20'000 && found < 2; ++scalar) {
      const TestKey client = TestKey::from_scalar(kind, scalar);
      const Bytes x = *base64url_decode(client.jwk()["x"].get<std::string>());
      const bool leading_zero = x[0] == 0 && (kind != Kind::p521 || x[1] == 0);
      if (!leading_zero) continue;
      ++found;
      const auto key = parse_jwk(client.jwk());
      REQUIRE(key);
      CHECK(thumbprint(*key) == client.thumbprint());
      CHECK(subject_public_key_info(*key) == client.spki());
      Json shortened = client.jwk();
      shortened["x"] = base64url_encode(ByteView(x).subspan(1));
      CHECK_FALSE(parse_jwk(shortened));
    }
    CHECK(found > 0);
  }
}

TEST_CASE("zeros in front of an RSA modulus do not count") {
  const TestKey client = TestKey::fixed(Kind::rsa2048);
  Json jwk = client.jwk();
  Bytes modulus = *base64url_decode(jwk["n"].get<std::string>());
  modulus.insert(modulus.begin(), 0);
  jwk["n"] = base64url_encode(modulus);
  jwk["e"] = "AAEAAQ";
  const auto key = parse_jwk(jwk);
  REQUIRE(key);
  CHECK(key->modulus.size() == 256);
  CHECK(thumbprint(*key) == client.thumbprint());
}

struct BadJwk {
  std::string what;
  Kind kind;
  std::function<void(Json&)> spoil;
  const char* said;  // part of the sentence
};

TEST_CASE("a jwk that is not well formed is refused with a sentence that names the member") {
  const std::string p256_p = base64url_encode(
      *hex_decode("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"));
  const std::string ed25519_p = base64url_encode(
      *hex_decode("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  const std::vector<BadJwk> rows = {
      {"no object", Kind::p256, [](Json& j) { j = Json::array(); }, "object"},
      {"no kty", Kind::p256, [](Json& j) { j.erase("kty"); }, "kty"},
      {"kty a number", Kind::p256, [](Json& j) { j["kty"] = 1; }, "kty"},
      {"kty oct", Kind::p256, [](Json& j) { j["kty"] = "oct"; }, "kty"},
      {"kty in lower case", Kind::p256, [](Json& j) { j["kty"] = "ec"; }, "kty"},
      {"private d", Kind::p256, [](Json& j) { j["d"] = "AQ"; }, "\"d\""},
      {"private d of Ed25519", Kind::ed25519, [](Json& j) { j["d"] = "AQ"; }, "\"d\""},
      {"private p", Kind::rsa2048, [](Json& j) { j["p"] = "AQ"; }, "\"p\""},
      {"private q", Kind::rsa2048, [](Json& j) { j["q"] = nullptr; }, "\"q\""},
      {"symmetric k", Kind::rsa2048, [](Json& j) { j["k"] = "AQ"; }, "\"k\""},
      {"use enc", Kind::rsa2048, [](Json& j) { j["use"] = "enc"; }, "use"},
      {"no crv", Kind::p256, [](Json& j) { j.erase("crv"); }, "crv"},
      {"crv secp256k1", Kind::p256, [](Json& j) { j["crv"] = "secp256k1"; }, "crv"},
      {"crv P-256 in lower case", Kind::p256, [](Json& j) { j["crv"] = "p-256"; }, "crv"},
      {"another curve's name", Kind::p384, [](Json& j) { j["crv"] = "P-256"; }, "\"x\""},
      {"a longer curve's name", Kind::p256, [](Json& j) { j["crv"] = "P-384"; }, "\"x\""},
      {"Ed25519 under EC", Kind::p256, [](Json& j) { j["crv"] = "Ed25519"; }, "crv"},
      {"Ed448", Kind::ed25519, [](Json& j) { j["crv"] = "Ed448"; }, "crv"},
      {"X25519", Kind::ed25519, [](Json& j) { j["crv"] = "X25519"; }, "crv"},
      {"no x", Kind::p256, [](Json& j) { j.erase("x"); }, "\"x\""},
      {"no y", Kind::p256, [](Json& j) { j.erase("y"); }, "\"y\""},
      {"x an array", Kind::p256, [](Json& j) { j["x"] = Json::array({1}); }, "\"x\""},
      {"x padded", Kind::p256, [](Json& j) { j["x"] = j["x"].get<std::string>() + "="; }, "\"x\""},
      {"x in base64", Kind::p256,
       [](Json& j) { j["x"] = "+/" + j["x"].get<std::string>().substr(2); }, "\"x\""},
      {"x one octet longer", Kind::p256, [](Json& j) { j["x"] = zeros(33); }, "\"x\""},
      {"x empty", Kind::p256, [](Json& j) { j["x"] = ""; }, "\"x\""},
      {"x and y swapped", Kind::p256, [](Json& j) { std::swap(j["x"], j["y"]); }, "point"},
      {"(0, 0)", Kind::p256, [](Json& j) { j["x"] = j["y"] = zeros(32); }, "point"},
      {"(0, 0) on P-521", Kind::p521, [](Json& j) { j["x"] = j["y"] = zeros(66); }, "point"},
      {"x = p", Kind::p256, [&](Json& j) { j["x"] = p256_p; }, "point"},
      {"y = p", Kind::p256, [&](Json& j) { j["y"] = p256_p; }, "point"},
      {"x all ones", Kind::p384, [](Json& j) { j["x"] = base64url_encode(Bytes(48, 0xFF)); },
       "point"},
      {"Ed25519 y = p", Kind::ed25519, [&](Json& j) { j["x"] = ed25519_p; }, "point"},
      {"Ed25519 off its curve", Kind::ed25519,
       [](Json& j) { j["x"] = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"; }, "point"},
      {"Ed25519 31 octets", Kind::ed25519, [](Json& j) { j["x"] = zeros(31); }, "\"x\""},
      {"n missing", Kind::rsa2048, [](Json& j) { j.erase("n"); }, "\"n\""},
      {"n zero", Kind::rsa2048, [](Json& j) { j["n"] = zeros(256); }, "\"n\""},
      {"n empty", Kind::rsa2048, [](Json& j) { j["n"] = ""; }, "\"n\""},
      {"n of 8200 bits", Kind::rsa2048,
       [](Json& j) { j["n"] = base64url_encode(Bytes(1025, 0xFF)); }, "\"n\""},
      {"n of 200 KB", Kind::rsa2048, [](Json& j) { j["n"] = std::string(200'000, 'B'); }, "\"n\""},
      {"e missing", Kind::rsa2048, [](Json& j) { j.erase("e"); }, "\"e\""},
      {"e with white space", Kind::rsa2048, [](Json& j) { j["e"] = "AQ AB"; }, "\"e\""},
      {"e of 72 bits", Kind::rsa2048, [](Json& j) { j["e"] = base64url_encode(Bytes(9, 1)); },
       "\"e\""},
  };
  for (const BadJwk& row : rows) {
    CAPTURE(row.what);
    Json jwk = TestKey::fixed(row.kind).jwk();
    row.spoil(jwk);
    const auto key = parse_jwk(jwk);
    REQUIRE_FALSE(key);
    CAPTURE(key.error());
    CHECK(key.error().find(row.said) != std::string::npos);
  }
}

TEST_CASE("a point off its curve is found out on every curve, and a point on it is not") {
  for (const Kind kind : {Kind::p256, Kind::p384, Kind::p521}) {
    for (unsigned scalar = 1; scalar <= 20; ++scalar) {
      Json jwk = TestKey::from_scalar(kind, scalar).jwk();
      CHECK(parse_jwk(jwk));
      Bytes y = *base64url_decode(jwk["y"].get<std::string>());
      y.back() ^= 1U;
      jwk["y"] = base64url_encode(y);
      CHECK_FALSE(parse_jwk(jwk));
    }
  }
  for (int i = 0; i < 20; ++i)
    CHECK(is_ed25519_point(
        *base64url_decode(TestKey::generate(Kind::ed25519).jwk()["x"].get<std::string>())));
}

TEST_CASE("the orders of the curves are OpenSSL's") {
  for (const KeyType type : {KeyType::ec_p256, KeyType::ec_p384, KeyType::ec_p521}) {
    const Curve& curve = curve_of(type);
    const std::unique_ptr<EC_GROUP, void (*)(EC_GROUP*)> group(
        EC_GROUP_new_by_curve_name(curve.nid), EC_GROUP_free);
    Bytes order(curve.bytes);
    BN_bn2binpad(EC_GROUP_get0_order(group.get()), order.data(), static_cast<int>(order.size()));
    CHECK(hex_encode(order) == curve.order_hex);
    CHECK_FALSE(is_in_range(curve, order));
    CHECK_FALSE(is_in_range(curve, Bytes(curve.bytes)));
    order.back() -= 1;
    CHECK(is_in_range(curve, order));
  }
}

TEST_CASE("SubjectPublicKeyInfos of other shapes hold no key of ours") {
  const Bytes p256 = TestKey::fixed(Kind::p256).spki();
  Bytes compressed_prefix = p256;
  compressed_prefix[26] = 0x02;
  Bytes hybrid = p256;
  hybrid[26] = 0x06;
  Bytes unused_bits = p256;
  unused_bits[25] = 0x01;
  Bytes trailing = p256;
  trailing.push_back(0);
  Bytes off_curve = p256;
  off_curve.back() ^= 1U;
  // id-ecPublicKey with the point at infinity, one octet.
  const Bytes infinity = *hex_decode("3019301306072a8648ce3d020106082a8648ce3d03010703020000");
  for (const Bytes& spki :
       {compressed_prefix, hybrid, unused_bits, trailing, off_curve, infinity, Bytes()}) {
    CHECK_FALSE(jwk_of_spki(spki));
  }
  REQUIRE(jwk_of_spki(p256));
  // The same key with explicit curve parameters (CVE-2022-0778's way in).
  const TestKey client = TestKey::from_pem(testing::kP256Key);
  EVP_PKEY_set_utf8_string_param(client.handle(), OSSL_PKEY_PARAM_EC_ENCODING,
                                 OSSL_PKEY_EC_ENCODING_EXPLICIT);
  REQUIRE(client.spki().size() > 200);
  CHECK_FALSE(jwk_of_spki(client.spki()));
}

}  // namespace

TEST_CASE("each key type has a word, a title and a JWS algorithm of its own") {
  CHECK(to_string(KeyType::ec_p521) == "ec-p521");
  CHECK(describe(KeyType::ec_p521) == "EC P-521");
  CHECK(names_of(KeyType::ec_p521).jws_algorithm == "ES512");
  for (const KeyTypeName& names : kKeyTypes) {
    CHECK(key_type_from(names.word) == names.type);
    CHECK(&names_of(names.type) == &names);
  }
  CHECK_FALSE(key_type_from("EC P-256"));
  CHECK_FALSE(key_type_from(""));
}

}  // namespace gatehouse::crypto
