#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "acme-server/crypto/jws.h"
#include "tests/support/test_keys.h"

namespace gatehouse::crypto {
namespace {

using testing::TestKey;
using Kind = TestKey::Kind;

constexpr const char* kUrl = "https://ca.test/acme/default/new-account";
constexpr const char* kNonce = "bm9uY2U";

struct BadHeader {
  std::string what;
  JwsError::Kind kind;
  std::function<void(Json&)> spoil;
};

TEST_CASE("an external account binding is HS256 with a kid, no nonce and no jwk") {
  const Json jwk = TestKey::fixed(Kind::p256).jwk();
  const Json good = {{"kid", "kid-1"}, {"url", kUrl}};
  const auto jws = parse_mac_jws(testing::mac_jws("secret", good, jwk.dump()));
  REQUIRE(jws);
  CHECK(jws->kid == "kid-1");
  CHECK(jws->url == kUrl);
  CHECK(jws->payload == jwk.dump());
  CHECK(verify_mac_jws(*jws, Secret("secret")));
  CHECK_FALSE(verify_mac_jws(*jws, Secret("Secret")));
  CHECK_FALSE(verify_mac_jws(*jws, Secret("")));
  MacJws cut = *jws;
  cut.mac.pop_back();
  CHECK_FALSE(verify_mac_jws(cut, Secret("secret")));

  using enum JwsError::Kind;
  const BadHeader rows[] = {
      {"alg none", bad_algorithm, [](Json& h) { h["alg"] = "none"; }},
      {"alg ES256", bad_algorithm, [](Json& h) { h["alg"] = "ES256"; }},
      {"alg HS512", bad_algorithm, [](Json& h) { h["alg"] = "HS512"; }},
      {"a nonce", malformed, [](Json& h) { h["nonce"] = kNonce; }},
      {"a jwk", malformed, [&](Json& h) { h["jwk"] = jwk; }},
      {"no kid", malformed, [](Json& h) { h.erase("kid"); }},
      {"no url", malformed, [](Json& h) { h.erase("url"); }},
      {"crit", malformed, [](Json& h) { h["crit"] = {"exp"}; }},
  };
  for (const BadHeader& row : rows) {
    CAPTURE(row.what);
    Json header = good;
    row.spoil(header);
    const auto refused = parse_mac_jws(testing::mac_jws("secret", header, jwk.dump()));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == row.kind);
  }
  // The public key as the secret: the outer door takes no MAC at all.
  const auto outer = parse_jws(
      testing::mac_jws(jwk.dump(), Json{{"jwk", jwk}, {"nonce", kNonce}, {"url", kUrl}}, "{}"));
  REQUIRE_FALSE(outer);
  CHECK(outer.error().kind == bad_algorithm);
}

}  // namespace
}  // namespace gatehouse::crypto
