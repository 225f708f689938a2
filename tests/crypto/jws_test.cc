#include "acme-server/crypto/jws.h"

#include <doctest/doctest.h>

#include <functional>

#include "acme-server/base/base64url.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/curve.h"
#include "tests/support/test_keys.h"

namespace gatehouse::crypto {
namespace {

using testing::sign_jws;
using testing::TestKey;
using Kind = TestKey::Kind;

constexpr Kind kAllKinds[] = {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519};
constexpr const char* kUrl = "https://ca.test/acme/default/new-account";
constexpr const char* kNonce = "bm9uY2U";

Json good_header(const TestKey& key) {
  return {{"alg", key.alg()}, {"jwk", key.jwk()}, {"nonce", kNonce}, {"url", kUrl}};
}

bool verifies(const Jws& jws, const Json& jwk) {
  const auto key = parse_jwk(jwk);
  REQUIRE(key);
  return verify_jws(jws, key->type, *make_public_key(*key));
}

// The examples of the RFCs have no ACME header, so they are verified without being parsed.
struct Vector {
  std::string algorithm;
  const char* jwk;
  const char* signing_input;
  const char* signature;
};

const Vector kVectors[] = {
    {"RS256",  // RFC 7515 appendix A.2
     R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})",
     "eyJhbGciOiJSUzI1NiJ9."
     "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlf"
     "Q",
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
     "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
     "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
     "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig"
     "cN_IoypGlUPQGe77Rw"},
    {"ES256",  // RFC 7515 appendix A.3
     R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
     "eyJhbGciOiJFUzI1NiJ9."
     "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlf"
     "Q",
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"ES512",  // RFC 7515 appendix A.4
     R"({"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"})",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
     "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_"
     "7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_"
     "Jn"},
    {"EdDSA",  // RFC 8037 appendix A.4
     R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

TEST_CASE("the signatures of RFC 7515 and RFC 8037 verify, and no longer once a bit is changed") {
  for (const Vector& row : kVectors) {
    CAPTURE(row.algorithm);
    Jws jws{.algorithm = row.algorithm,
            .kid = {},
            .jwk = {},
            .nonce = {},
            .url = {},
            .payload = {},
            .signing_input = row.signing_input,
            .signature = *base64url_decode(row.signature)};
    const Json jwk = Json::parse(row.jwk);
    CHECK(verifies(jws, jwk));
    for (std::size_t i = 0; i < jws.signature.size(); i += 7) {
      Jws changed = jws;
      changed.signature[i] ^= 0x10U;
      CHECK_FALSE(verifies(changed, jwk));
    }
    jws.signing_input += 'A';
    CHECK_FALSE(verifies(jws, jwk));
  }
}

TEST_CASE("a JWS of every algorithm is parsed whole and verifies") {
  for (const Kind kind : kAllKinds) {
    const TestKey client = TestKey::fixed(kind);
    CAPTURE(client.alg());
    const auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, R"({"a":1})"));
    REQUIRE(jws);
    CHECK(jws->algorithm == client.alg());
    CHECK(jws->payload == R"({"a":1})");
    CHECK(jws->url == kUrl);
    CHECK(jws->nonce == kNonce);
    CHECK_FALSE(jws->kid);
    REQUIRE(jws->jwk);
    CHECK(thumbprint(*jws->jwk) == client.thumbprint());
    CHECK(verifies(*jws, client.jwk()));
    CHECK_FALSE(verifies(*jws, TestKey::generate(kind).jwk()));
  }
}

TEST_CASE("a POST-as-GET names its account and has an empty payload") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const auto jws = parse_jws(
      testing::sign_with_kid(client, "https://ca.test/acme/default/account/1", kUrl, kNonce, ""));
  REQUIRE(jws);
  CHECK(jws->kid == "https://ca.test/acme/default/account/1");
  CHECK_FALSE(jws->jwk);
  CHECK(jws->payload.empty());
  CHECK(verifies(*jws, client.jwk()));
}

TEST_CASE("an inner JWS has no nonce") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const auto jws = parse_jws(sign_jws(client, Json{{"jwk", client.jwk()}, {"url", kUrl}}, "{}"));
  REQUIRE(jws);
  CHECK_FALSE(jws->nonce);
}

struct BadHeader {
  std::string what;
  JwsError::Kind kind;
  std::function<void(Json&)> spoil;
};

TEST_CASE("a protected header against RFC 8555 section 6.2 is refused") {
  using enum JwsError::Kind;
  const TestKey client = TestKey::fixed(Kind::p256);
  std::vector<BadHeader> rows = {
      {"no alg", malformed, [](Json& h) { h.erase("alg"); }},
      {"alg null", malformed, [](Json& h) { h["alg"] = nullptr; }},
      {"alg a list", malformed, [](Json& h) { h["alg"] = {"ES256"}; }},
      {"neither jwk nor kid", malformed, [](Json& h) { h.erase("jwk"); }},
      {"both jwk and kid", malformed, [](Json& h) { h["kid"] = "https://ca.test/account/1"; }},
      {"jwk, and kid null", malformed, [](Json& h) { h["kid"] = nullptr; }},
      {"kid a number", malformed, [](Json& h) { h.erase("jwk"), h["kid"] = 1; }},
      {"kid of 3 KB", malformed,
       [](Json& h) { h.erase("jwk"), h["kid"] = std::string(3000, 'a'); }},
      {"jwk null", bad_public_key, [](Json& h) { h["jwk"] = nullptr; }},
      {"jwk a text", bad_public_key, [](Json& h) { h["jwk"] = "key"; }},
      {"jwk with a private member", bad_public_key, [](Json& h) { h["jwk"]["d"] = "AQ"; }},
      {"jwk off its curve", bad_public_key,
       [](Json& h) { std::swap(h["jwk"]["x"], h["jwk"]["y"]); }},
      {"jwk symmetric", bad_public_key, [](Json& h) { h["jwk"] = {{"kty", "oct"}, {"k", "AQ"}}; }},
      {"jwk of another alg", malformed, [](Json& h) { h["jwk"]["alg"] = "RS256"; }},
      {"no url", malformed, [](Json& h) { h.erase("url"); }},
      {"url empty", malformed, [](Json& h) { h["url"] = ""; }},
      {"url a number", malformed, [](Json& h) { h["url"] = 7; }},
      {"url of 3 KB", malformed, [](Json& h) { h["url"] = std::string(3000, 'a'); }},
      {"crit", malformed, [](Json& h) { h["crit"] = {"exp"}; }},
      {"crit empty", malformed, [](Json& h) { h["crit"] = Json::array(); }},
      {"crit null", malformed, [](Json& h) { h["crit"] = nullptr; }},
      {"b64 false", malformed, [](Json& h) { h["b64"] = false; }},
      {"b64 true", malformed, [](Json& h) { h["b64"] = true; }},
      {"nonce null", malformed, [](Json& h) { h["nonce"] = nullptr; }},
      {"nonce a number", malformed, [](Json& h) { h["nonce"] = 1; }},
      {"nonce empty", bad_nonce_syntax, [](Json& h) { h["nonce"] = ""; }},
      {"nonce padded", bad_nonce_syntax, [](Json& h) { h["nonce"] = "bm9uY2Uh="; }},
      {"nonce in base64", bad_nonce_syntax, [](Json& h) { h["nonce"] = "+/+/"; }},
      {"nonce with a blank", bad_nonce_syntax, [](Json& h) { h["nonce"] = "bm9u Y2Uh"; }},
      {"a list for a header", malformed, [](Json& h) { h = Json::array({h}); }},
      {"null for a header", malformed, [](Json& h) { h = nullptr; }},
  };
  for (const char* algorithm :
       {"none",    "None",  "NONE",  "nOnE",  "HS256", "HS384",  "HS512",   "hs256",  "RS384",
        "RS512",   "RS1",   "PS256", "PS384", "PS512", "ES256K", "es256",   "ES256 ", " ES256",
        "Ed25519", "Ed448", "eddsa", "",      "dir",   "A256KW", "RSA-OAEP"}) {
    rows.push_back({algorithm, bad_algorithm, [algorithm](Json& h) { h["alg"] = algorithm; }});
  }
  for (const BadHeader& row : rows) {
    CAPTURE(row.what);
    Json header = good_header(client);
    row.spoil(header);
    const auto jws = parse_jws(testing::sign_jws_text(client, header.dump(), "{}"));
    REQUIRE_FALSE(jws);
    CAPTURE(jws.error().detail);
    CHECK(jws.error().kind == row.kind);
    CHECK_FALSE(jws.error().detail.empty());
  }
}

TEST_CASE("members of the header that ACME does not know choose nothing") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const TestKey stranger = TestKey::generate(Kind::p256);
  Json header = good_header(client);
  header["jku"] = "https://evil.test/keys";
  header["x5u"] = "https://evil.test/cert";
  header["x5c"] = {"MIIB"};
  header["typ"] = "JOSE";
  const auto jws = parse_jws(sign_jws(stranger, header, "{}"));
  REQUIRE(jws);
  CHECK_FALSE(verifies(*jws, client.jwk()));
}

TEST_CASE("a body that is not one flattened JWS is malformed") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const std::string good = sign_jws(client, good_header(client), "{}");
  const Json parts = Json::parse(good);
  const auto with = [&](const char* member, Json value) {
    Json changed = parts;
    changed[member] = std::move(value);
    return changed.dump();
  };
  const auto without = [&](const char* member) {
    Json changed = parts;
    changed.erase(member);
    return changed.dump();
  };
  const std::string header = parts["protected"];
  const std::string signature = parts["signature"];
  const std::string twice = R"({"alg":"ES256","alg":"none","url":"u","kid":"k"})";
  const std::pair<std::string, std::string> rows[] = {
      {"nothing", ""},
      {"a text", "\"jws\""},
      {"a list", "[" + good + "]"},
      {"null", "null"},
      {"compact", header + "." + parts["payload"].get<std::string>() + "." + signature},
      {"general", Json{{"payload", parts["payload"]},
                       {"signatures", {{{"protected", header}, {"signature", signature}}}}}
                      .dump()},
      {"flattened and general", with("signatures", Json::array())},
      {"signatures null", with("signatures", nullptr)},
      {"an unprotected header", with("header", {{"kid", "k"}})},
      {"an empty unprotected header", with("header", Json::object())},
      {"header null", with("header", nullptr)},
      {"no protected", without("protected")},
      {"no payload", without("payload")},
      {"no signature", without("signature")},
      {"protected null", with("protected", nullptr)},
      {"payload null", with("payload", nullptr)},
      {"payload an object", with("payload", Json::object())},
      {"signature null", with("signature", nullptr)},
      {"signature empty", with("signature", "")},
      {"protected empty", with("protected", "")},
      {"protected padded", with("protected", header + "=")},
      {"protected with a line break", with("protected", header + "\n")},
      {"payload padded", with("payload", "e30=")},
      {"payload with trailing bits", with("payload", "e31")},
      {"payload of an impossible length", with("payload", "e30AA")},
      {"payload in base64", with("payload", "+/+/")},
      {"signature padded", with("signature", signature + "==")},
      {"protected is no JSON", with("protected", base64url_encode(as_bytes("{alg}")))},
      {"protected has trailing bytes", with("protected", base64url_encode(as_bytes("{} {}")))},
      {"protected says alg twice", with("protected", base64url_encode(as_bytes(twice)))},
      {"protected is not UTF-8",
       with("protected", base64url_encode(as_bytes("{\"alg\":\"\xff\"}")))},
      {"payload twice", R"({"payload":"","protected":")" + header +
                            R"(","payload":"e30","signature":")" + signature + "\"}"},
      {"trailing bytes", good + "x"},
      {"cut short", good.substr(0, good.size() - 1)},
      {"nested 10,000 deep", std::string(10'000, '[') + std::string(10'000, ']')},
      {"header nested deep",
       with("protected", base64url_encode(as_bytes(std::string(1'000, '['))))},
  };
  REQUIRE(parse_jws(good));
  for (const auto& [what, body] : rows) {
    CAPTURE(what);
    const auto jws = parse_jws(body);
    REQUIRE_FALSE(jws);
    CHECK(jws.error().kind == JwsError::Kind::malformed);
    CHECK_FALSE(jws.error().detail.empty());
  }
}

TEST_CASE("an algorithm goes with one kind of key: every other pair is refused") {
  for (const Kind kind : kAllKinds) {
    const TestKey client = TestKey::fixed(kind);
    for (const auto& [type, word, title, algorithm] : kKeyTypes) {
      if (algorithm == client.alg()) continue;
      CAPTURE(client.alg());
      CAPTURE(algorithm);
      Json header = good_header(client);
      header["alg"] = algorithm;
      const auto jws = parse_jws(sign_jws(client, header, "{}"));
      REQUIRE(jws);
      CHECK_FALSE(verifies(*jws, client.jwk()));
    }
    for (const Kind other : kAllKinds) {
      if (other == kind) continue;
      const auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, "{}"));
      CHECK_FALSE(verifies(*jws, TestKey::fixed(other).jwk()));
    }
  }
}

TEST_CASE("a key under another type's name verifies nothing") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, "{}"));
  CHECK_FALSE(verify_jws(*jws, KeyType::rsa, *make_public_key(*jws->jwk)));
  CHECK_FALSE(verify_jws(*jws, KeyType::ec_p384, *make_public_key(*jws->jwk)));
}

TEST_CASE("a digest other than the algorithm's own does not verify") {
  for (const Kind kind : {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521}) {
    const TestKey client = TestKey::fixed(kind);
    const std::string own = kind == Kind::p384   ? "SHA384"
                            : kind == Kind::p521 ? "SHA512"
                                                 : "SHA256";
    for (const EVP_MD* digest : {EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
      auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, "{}"));
      jws->signature = client.sign_with(digest, jws->signing_input);
      const bool is_own = (own == "SHA256" && EVP_MD_is_a(digest, "SHA256") == 1) ||
                          (own == "SHA384" && EVP_MD_is_a(digest, "SHA384") == 1) ||
                          (own == "SHA512" && EVP_MD_is_a(digest, "SHA512") == 1);
      CHECK(verifies(*jws, client.jwk()) == is_own);
    }
  }
}

Bytes joined(ByteView a, ByteView b) {
  Bytes both(a.begin(), a.end());
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

// n - s: the other signature that ECDSA has for every one.
Bytes negated(const Curve& curve, ByteView s) {
  const Bytes order = *hex_decode(curve.order_hex);
  Bytes result(order.size());
  int borrow = 0;
  for (std::size_t i = order.size(); i-- > 0;) {
    const int difference = order[i] - s[i] - borrow;
    borrow = difference < 0 ? 1 : 0;
    result[i] = static_cast<std::uint8_t>(difference + 256 * borrow);
  }
  return result;
}

TEST_CASE("an ECDSA signature is exactly r and s, each from 1 to n - 1") {
  for (const Kind kind : {Kind::p256, Kind::p384, Kind::p521}) {
    const TestKey client = TestKey::fixed(kind);
    CAPTURE(client.alg());
    auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, "{}"));
    REQUIRE(jws);
    const Curve& curve = curve_of(jws->jwk->type);
    const Bytes good = jws->signature;
    REQUIRE(good.size() == 2 * curve.bytes);
    const Bytes r(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(curve.bytes));
    const Bytes s(good.begin() + static_cast<std::ptrdiff_t>(curve.bytes), good.end());
    const Bytes zero(curve.bytes);
    const Bytes order = *hex_decode(curve.order_hex);
    Bytes one = zero;
    one.back() = 1;
    Bytes below_order = order;
    below_order.back() -= 1;
    const Bytes ones(curve.bytes, 0xFF);
    const ByteView whole(good);
    const std::pair<std::string, Bytes> rows[] = {
        {"r = s = 0", joined(zero, zero)},
        {"r = 0", joined(zero, s)},
        {"s = 0", joined(r, zero)},
        {"r = n", joined(order, s)},
        {"s = n", joined(r, order)},
        {"r = s = n", joined(order, order)},
        {"r all ones", joined(ones, s)},
        {"s all ones", joined(r, ones)},
        {"r = s = 1", joined(one, one)},
        {"r = s = n - 1", joined(below_order, below_order)},
        {"r and s swapped", joined(s, r)},
        {"one octet short", Bytes(good.begin(), good.end() - 1)},
        {"first octet gone", Bytes(good.begin() + 1, good.end())},
        {"an octet more", joined(whole, Bytes{0})},
        {"a zero in front", joined(Bytes{0}, whole)},
        {"a zero in front of both", joined(joined(Bytes{0}, r), joined(Bytes{0}, s))},
        {"r alone", r},
        {"twice", joined(whole, whole)},
        {"DER", client.sign_der(jws->signing_input)},
        {"empty", Bytes()},
    };
    CHECK(verifies(*jws, client.jwk()));
    for (const auto& [what, signature] : rows) {
      CAPTURE(what);
      jws->signature = signature;
      CHECK_FALSE(verifies(*jws, client.jwk()));
    }
    // RFC 7518 does not ask for the smaller s, and nothing of ours identifies a request by its
    // signature.
    jws->signature = joined(r, negated(curve, s));
    CHECK(verifies(*jws, client.jwk()));
  }
}

TEST_CASE("a short r or s is filled up with zeros, not left out") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const Json header = good_header(client);
  std::size_t found = 0;
  for (int i = 0; i < 20'000 && found < 2; ++i) {
    auto jws = parse_jws(sign_jws(client, header, std::to_string(i)));
    if (jws->signature[0] != 0 && jws->signature[32] != 0) continue;
    ++found;
    CHECK(verifies(*jws, client.jwk()));
    jws->signature.erase(jws->signature.begin() + (jws->signature[0] == 0 ? 0 : 32));
    CHECK_FALSE(verifies(*jws, client.jwk()));
  }
  CHECK(found == 2);
}

TEST_CASE("an RSA signature is PKCS#1 v1.5 and exactly as long as the modulus") {
  const TestKey client = TestKey::fixed(Kind::rsa2048);
  auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, "{}"));
  REQUIRE(jws);
  const Bytes good = jws->signature;
  REQUIRE(good.size() == 256);

  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  EVP_PKEY_CTX* padding = nullptr;
  Bytes pss(256);
  std::size_t size = pss.size();
  EVP_DigestSignInit(context.get(), &padding, EVP_sha256(), nullptr, client.handle());
  EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING);
  REQUIRE(EVP_DigestSign(context.get(), pss.data(), &size, as_bytes(jws->signing_input).data(),
                         jws->signing_input.size()) == 1);

  const std::pair<std::string, Bytes> rows[] = {
      {"PSS", pss},
      {"a zero in front", joined(Bytes{0}, good)},
      {"a zero behind", joined(good, Bytes{0})},
      {"one octet short", Bytes(good.begin(), good.end() - 1)},
      {"zero", Bytes(256)},
      {"one", joined(Bytes(255), Bytes{1})},
      {"all ones", Bytes(256, 0xFF)},
      {"the modulus", *base64url_decode(client.jwk()["n"].get<std::string>())},
      {"empty", Bytes()},
  };
  CHECK(verifies(*jws, client.jwk()));
  for (const auto& [what, signature] : rows) {
    CAPTURE(what);
    jws->signature = signature;
    CHECK_FALSE(verifies(*jws, client.jwk()));
  }
}

TEST_CASE("an Ed25519 signature is 64 octets with s below the order of the group") {
  const TestKey client = TestKey::fixed(Kind::ed25519);
  auto jws = parse_jws(testing::sign_with_jwk(client, kUrl, kNonce, "{}"));
  REQUIRE(jws);
  const Bytes good = jws->signature;
  // s + L, little-endian: the malleable twin that RFC 8032 section 5.1.7 forbids.
  const Bytes order =
      *hex_decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  Bytes twin = good;
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned sum = twin[32 + i] + order[i] + carry;
    twin[32 + i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8U;
  }
  CHECK(verifies(*jws, client.jwk()));
  const std::pair<std::string, Bytes> rows[] = {
      {"s + L", twin},
      {"zero", Bytes(64)},
      {"one octet short", Bytes(good.begin(), good.end() - 1)},
      {"one octet more", joined(good, Bytes{0})}};
  for (const auto& [what, signature] : rows) {
    CAPTURE(what);
    jws->signature = signature;
    CHECK_FALSE(verifies(*jws, client.jwk()));
  }
}

TEST_CASE("what is not the payload's signature does not verify") {
  const TestKey client = TestKey::fixed(Kind::p256);
  const std::string first = sign_jws(client, good_header(client), R"({"a":1})");
  const std::string second = sign_jws(client, good_header(client), R"({"a":2})");
  Json mixed = Json::parse(first);
  mixed["payload"] = Json::parse(second)["payload"];
  CHECK_FALSE(verifies(*parse_jws(mixed.dump()), client.jwk()));
  Json other_header = good_header(client);
  other_header["url"] = "https://ca.test/elsewhere";
  mixed = Json::parse(first);
  mixed["protected"] = base64url_encode(as_bytes(other_header.dump()));
  CHECK_FALSE(verifies(*parse_jws(mixed.dump()), client.jwk()));
}

}  // namespace
}  // namespace gatehouse::crypto
