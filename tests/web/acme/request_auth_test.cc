#include "acme-server/web/acme/request_auth.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::problem_of;
using testing::sign_flattened;
using testing::TestKey;
using testing::TestServices;
using testing::TestWeb;

constexpr std::string_view kOrderPayload = R"({"identifiers":[{"type":"dns","value":"a.test"}]})";

// A good newOrder request, taken apart so that a row can spoil it.
struct Draft {
  std::string url;
  Json header;
  std::string payload;
  std::vector<http::Header> headers = {{.name = "Content-Type", .value = "application/jose+json"}};
  std::function<void(Json&)> after = [](Json&) {};  // the signed body
};

struct Fixture {
  Fixture() {
    client.new_account();
    other.new_account();
  }

  Draft draft() {
    const std::string url = TestWeb::url("/new-order");
    return {
        .url = url, .header = client.header_with_kid(url), .payload = std::string(kOrderPayload)};
  }

  http::Response send(const Draft& draft, const TestKey& key) {
    Json body = parse_json(sign_flattened(key, print_json(draft.header), draft.payload));
    draft.after(body);
    return web.send("POST", draft.url.substr(testing::kBaseUrl.size()), print_json(body),
                    draft.headers);
  }

  http::Response send(const Draft& draft) { return send(draft, client.key); }

  std::size_t orders() {
    return testing::json_of(client.get(client.kid + "/orders"))["orders"].size();
  }

  TestWeb web;
  Client client{web};
  Client other{web};
};

struct Row {
  const char* why;
  std::function<void(Draft&, Fixture&)> spoil;
  int status;
  ProblemType type;
};

void check(const std::vector<Row>& rows) {
  Fixture f;
  for (const Row& row : rows) {
    INFO(std::string(row.why));
    Draft draft = f.draft();
    row.spoil(draft, f);
    const http::Response response = f.send(draft);
    REQUIRE(response.status >= 400);
    const Problem problem = problem_of(response);
    CAPTURE(problem.detail);
    CHECK(response.status == row.status);
    CHECK(problem.type == row.type);
    CHECK(problem.detail.size() > 10);
    CHECK_FALSE(header_of(response, "Replay-Nonce").empty());
    CHECK(f.orders() == 0);
  }
  CHECK(f.send(f.draft()).status == 201);  // what the rows began with is good
}

void media_type(Draft& d, const std::vector<std::string>& values) {
  d.headers.clear();
  for (const std::string& value : values) {
    d.headers.push_back({.name = "content-type", .value = value});
  }
}

TEST_CASE("a body of another media type is answered with 415") {
  using enum ProblemType;
  check({
      {"missing", [](Draft& d, Fixture&) { media_type(d, {}); }, 415, malformed},
      {"empty", [](Draft& d, Fixture&) { media_type(d, {""}); }, 415, malformed},
      {"JSON", [](Draft& d, Fixture&) { media_type(d, {"application/json"}); }, 415, malformed},
      {"compact", [](Draft& d, Fixture&) { media_type(d, {"application/jose"}); }, 415, malformed},
      {"parameter",
       [](Draft& d, Fixture&) { media_type(d, {"application/jose+json; charset=utf-8"}); }, 415,
       malformed},
      {"twice",
       [](Draft& d, Fixture&) {
         media_type(d, {"application/jose+json", "application/jose+json"});
       },
       415, malformed},
  });
}

TEST_CASE("a JWS of another shape is malformed") {
  using enum ProblemType;
  check({
      {"unprotected header",
       [](Draft& d, Fixture&) { d.after = [](Json& b) { b["header"] = Json::object(); }; }, 400,
       malformed},
      {"general form",
       [](Draft& d, Fixture&) { d.after = [](Json& b) { b["signatures"] = Json::array(); }; }, 400,
       malformed},
      {"no payload", [](Draft& d, Fixture&) { d.after = [](Json& b) { b.erase("payload"); }; }, 400,
       malformed},
      {"null payload",
       [](Draft& d, Fixture&) { d.after = [](Json& b) { b["payload"] = nullptr; }; }, 400,
       malformed},
      {"padding",
       [](Draft& d, Fixture&) {
         d.after = [](Json& b) { b["payload"] = b["payload"].get<std::string>() + "="; };
       },
       400, malformed},
      {"an array", [](Draft& d, Fixture&) { d.after = [](Json& b) { b = Json::array(); }; }, 400,
       malformed},
      {"b64", [](Draft& d, Fixture&) { d.header["b64"] = false; }, 400, malformed},
      {"crit", [](Draft& d, Fixture&) { d.header["crit"] = Json::array({"x"}); }, 400, malformed},
      {"no url", [](Draft& d, Fixture&) { d.header.erase("url"); }, 400, malformed},
      {"url a number", [](Draft& d, Fixture&) { d.header["url"] = 1; }, 400, malformed},
      {"kid and jwk",
       [](Draft& d, Fixture& f) { d.header["jwk"] = testing::jwk_json(f.client.key); }, 400,
       malformed},
      {"neither kid nor jwk", [](Draft& d, Fixture&) { d.header.erase("kid"); }, 400, malformed},
      {"no alg", [](Draft& d, Fixture&) { d.header.erase("alg"); }, 400, malformed},
  });
}

TEST_CASE("an algorithm that is not ours is refused with the list of those that are") {
  using enum ProblemType;
  const auto alg = [](const char* name) {
    return [name](Draft& d, Fixture&) { d.header["alg"] = name; };
  };
  check({
      {"none", alg("none"), 400, badSignatureAlgorithm},
      {"NONE", alg("nOnE"), 400, badSignatureAlgorithm},
      {"HS256", alg("HS256"), 400, badSignatureAlgorithm},
      {"PS256", alg("PS256"), 400, badSignatureAlgorithm},
      {"es256", alg("es256"), 400, badSignatureAlgorithm},
      {"RS256 with an EC key", alg("RS256"), 400, malformed},
      {"ES384 with a P-256 key", alg("ES384"), 400, malformed},
      {"EdDSA with an EC key", alg("EdDSA"), 400, malformed},
  });

  Fixture f;
  Draft draft = f.draft();
  draft.header["alg"] = "HS256";
  CHECK(problem_of(f.send(draft)).algorithms ==
        std::vector<std::string>{"RS256", "ES256", "ES384", "ES512", "EdDSA"});
  service::Directory directory = TestServices::default_directory();
  directory.account_keys.allowed = {crypto::KeyType::ec_p256, crypto::KeyType::ed25519};
  f.web.services.use(directory);
  draft = f.draft();
  draft.header["alg"] = "HS256";
  CHECK(problem_of(f.send(draft)).algorithms == std::vector<std::string>{"ES256", "EdDSA"});
}

TEST_CASE("who signs with an account's key names the account by its URL, as it was given") {
  using enum ProblemType;
  const auto kid = [](const std::function<std::string(const std::string&)>& change) {
    return [change](Draft& d, Fixture& f) { d.header["kid"] = change(f.client.kid); };
  };
  check({
      {"jwk in its place", [](Draft& d, Fixture& f) { d.header = f.client.header_with_jwk(d.url); },
       400, malformed},
      {"bare id", kid([](const std::string& k) { return k.substr(k.rfind('/') + 1); }), 400,
       malformed},
      {"relative", kid([](const std::string& k) { return k.substr(testing::kBaseUrl.size()); }),
       400, malformed},
      {"http", kid([](const std::string& k) { return "http" + k.substr(5); }), 400, malformed},
      {"another host", kid([](const std::string& k) {
         return "https://evil.test" + k.substr(testing::kBaseUrl.size());
       }),
       400, malformed},
      {"slash", kid([](const std::string& k) { return k + "/"; }), 400, malformed},
      {"query", kid([](const std::string& k) { return k + "?"; }), 400, malformed},
      {"fragment", kid([](const std::string& k) { return k + "#"; }), 400, malformed},
      {"another resource", kid([](const std::string&) { return TestWeb::url("/new-order"); }), 400,
       malformed},
      {"another directory", kid([](const std::string& k) {
         return TestWeb::url(k.substr(k.rfind("/account")), "staging");
       }),
       400, malformed},
      {"nobody's", kid([](const std::string&) { return TestWeb::url("/account/nobody"); }), 400,
       accountDoesNotExist},
      {"another's", kid([](const std::string&) { return ""; }), 400, malformed},
      {"another's account", [](Draft& d, Fixture& f) { d.header["kid"] = f.other.kid; }, 400,
       malformed},  // the signature is not by that key
  });
}

TEST_CASE("an account of one directory is none of another") {
  Fixture f;
  const std::string url = TestWeb::url("/new-order", "staging");
  const std::string id = f.client.kid.substr(f.client.kid.rfind('/'));
  Draft draft{
      .url = url, .header = f.client.header_with_kid(url), .payload = std::string(kOrderPayload)};
  CHECK(problem_of(f.send(draft)).type == ProblemType::malformed);
  draft.header = f.client.header_with_kid(url);
  draft.header["kid"] = TestWeb::url("/account" + id, "staging");
  CHECK(problem_of(f.send(draft)).type == ProblemType::accountDoesNotExist);
}

TEST_CASE("one bit turned over anywhere and the request is refused") {
  Fixture f;
  for (const char* member : {"protected", "payload", "signature"}) {
    for (const std::size_t at : {0U, 7U, 20U}) {
      INFO(std::string(member));
      CAPTURE(at);
      Draft draft = f.draft();
      draft.after = [&](Json& body) {
        std::string text = body[member].get<std::string>();
        text[at] = text[at] == 'A' ? 'B' : 'A';
        body[member] = text;
      };
      CHECK(f.send(draft).status == 400);
      CHECK(f.orders() == 0);
    }
  }
  const TestKey stranger;
  CHECK(f.send(f.draft(), stranger).status == 400);
}

TEST_CASE("a nonce that is not a fresh one of ours is refused with a fresh one") {
  using enum ProblemType;
  check({
      {"missing", [](Draft& d, Fixture&) { d.header.erase("nonce"); }, 400, badNonce},
      {"made up", [](Draft& d, Fixture&) { d.header["nonce"] = std::string(48, 'A'); }, 400,
       badNonce},
      {"empty", [](Draft& d, Fixture&) { d.header["nonce"] = ""; }, 400, malformed},
      {"not base64url", [](Draft& d, Fixture&) { d.header["nonce"] = "!!"; }, 400, malformed},
      {"padded",
       [](Draft& d, Fixture&) { d.header["nonce"] = d.header["nonce"].get<std::string>() + "="; },
       400, malformed},
      {"a number", [](Draft& d, Fixture&) { d.header["nonce"] = 1; }, 400, malformed},
  });

  Fixture f;
  Draft draft = f.draft();
  CHECK(f.send(draft).status == 201);
  const http::Response replayed = f.send(draft);
  CHECK(problem_of(replayed).type == ProblemType::badNonce);
  draft.header["nonce"] = header_of(replayed, "Replay-Nonce");
  CHECK(f.send(draft).status == 201);
}

TEST_CASE("a request that is not signed as it should be does not use up its nonce") {
  Fixture f;
  Draft draft = f.draft();
  const TestKey stranger;
  CHECK(problem_of(f.send(draft, stranger)).type == ProblemType::malformed);
  CHECK(f.send(draft).status == 201);
}

TEST_CASE("a request that fails behind its signature has used up its nonce") {
  Fixture f;
  Draft draft = f.draft();
  draft.payload = "{}";
  CHECK(problem_of(f.send(draft)).type == ProblemType::malformed);
  CHECK(problem_of(f.send(draft)).type == ProblemType::badNonce);
}

TEST_CASE("a request for one URL is not taken at another") {
  using enum ProblemType;
  const auto url = [](const std::string& to) {
    return [to](Draft& d, Fixture&) { d.header["url"] = to; };
  };
  const std::string good = TestWeb::url("/new-order");
  check({
      {"another resource", url(TestWeb::url("/key-change")), 403, unauthorized},
      {"another host", url("https://evil.test/acme/default/new-order"), 403, unauthorized},
      {"an allowed host", url("https://10.0.0.1:8443/acme/default/new-order"), 403, unauthorized},
      {"scheme", url("http://acme.test/acme/default/new-order"), 403, unauthorized},
      {"port", url("https://acme.test:443/acme/default/new-order"), 403, unauthorized},
      {"case", url("https://acme.test/acme/default/NEW-ORDER"), 403, unauthorized},
      {"host's case", url("https://ACME.test/acme/default/new-order"), 403, unauthorized},
      {"query", url(good + "?x"), 403, unauthorized},
      {"fragment", url(good + "#x"), 403, unauthorized},
      {"slash", url(good + "/"), 403, unauthorized},
      {"percent", url("https://acme.test/acme/default/new%2Dorder"), 403, unauthorized},
      {"dots", url("https://acme.test/acme/default/x/../new-order"), 403, unauthorized},
      {"path alone", url("/acme/default/new-order"), 403, unauthorized},
      {"empty", url(""), 400, malformed},
      {"forwarded headers change nothing",
       [](Draft& d, Fixture&) {
         d.header["url"] = "https://evil.test/acme/default/new-order";
         d.headers.push_back({.name = "X-Forwarded-Host", .value = "evil.test"});
         d.headers.push_back({.name = "Forwarded", .value = "host=evil.test;proto=https"});
       },
       403, unauthorized},
  });
}

TEST_CASE("a deactivated account is refused everywhere") {
  Fixture f;
  const std::string order = header_of(f.send(f.draft()), "Location");
  REQUIRE(f.client.post(f.client.kid, Json{{"status", "deactivated"}}).status == 200);
  for (const std::string& url :
       {f.client.kid, order, order + "/finalize", TestWeb::url("/new-order"),
        TestWeb::url("/key-change"), TestWeb::url("/revoke-cert"), TestWeb::url("/directory")}) {
    CAPTURE(url);
    for (const char* payload : {"", "{}"}) {
      const http::Response response = f.client.post(url, std::string_view(payload));
      CHECK(response.status == 401);
      CHECK(problem_of(response).type == ProblemType::unauthorized);
    }
  }
  const http::Response again = f.client.post_with_jwk(TestWeb::url("/new-account"), Json::object());
  CHECK(again.status == 401);
  CHECK(problem_of(again).type == ProblemType::unauthorized);
}

TEST_CASE("what is only read takes the empty payload and no other") {
  Fixture f;
  const std::string order = header_of(f.send(f.draft()), "Location");
  for (const std::string& url :
       {order, f.client.kid + "/orders", TestWeb::url("/directory"), TestWeb::url("/new-nonce")}) {
    CAPTURE(url);
    CHECK(f.client.get(url).status < 300);
    for (const char* payload : {"{}", "null", "[]", "\"\"", " "}) {
      INFO(std::string(payload));
      const http::Response response = f.client.post(url, std::string_view(payload));
      CHECK(response.status == 400);
      CHECK(problem_of(response).type == ProblemType::malformed);
    }
  }
}

TEST_CASE("a payload that does not read is the client's fault, with the field's name") {
  Fixture f;

  struct Bad {
    std::string payload;
    const char* names;
  };

  using namespace std::string_literals;
  for (const Bad& row :
       {Bad{"", ""}, Bad{"null", ""}, Bad{"[]", ""}, Bad{"{", ""},
        Bad{"{\"identifiers\":1}", "identifiers"}, Bad{"{\"identifiers\":[1]}", "identifiers"},
        Bad{"{\"identifiers\":[{\"type\":\"dns\"}]}", "value"},
        Bad{"{\"identifiers\":[],\"identifiers\":[]}", "identifiers"},
        Bad{"{\"x\":\"\xc3\x28\"}", ""}, Bad{"{\"x\":\"\xc0\xaf\"}", ""},
        Bad{"{\"x\":\"\\ud800\"}", ""}, Bad{"{\0}"s, ""},
        Bad{std::string(40, '[') + std::string(40, ']'), ""}}) {
    CAPTURE(row.payload);
    Draft draft = f.draft();
    draft.payload = row.payload;
    const Problem problem = problem_of(f.send(draft));
    CHECK(problem.type == ProblemType::malformed);
    CHECK(problem.detail.find(row.names) != std::string::npos);
  }
}

TEST_CASE("a key that the policy does not take makes no account") {
  TestWeb web;
  service::Directory directory = TestServices::default_directory();
  directory.account_keys.allowed = {crypto::KeyType::rsa};
  web.services.use(directory);
  Client client(web);
  const http::Response response =
      client.post_with_jwk(TestWeb::url("/new-account"), Json::object());
  CHECK(response.status == 400);
  CHECK(problem_of(response).type == ProblemType::badPublicKey);
}

TEST_CASE("newAccount is signed by the key that it brings") {
  TestWeb web;
  Client client(web);
  client.new_account();
  const std::string url = TestWeb::url("/new-account");
  CHECK(problem_of(client.post(url, Json::object())).type == ProblemType::malformed);
  const Client stranger(web);
  const std::string body =
      sign_flattened(stranger.key, print_json(client.header_with_jwk(url)), "{}");
  CHECK(problem_of(web.post(url, body)).type == ProblemType::malformed);
  Json with_private = client.header_with_jwk(url);
  with_private["jwk"]["d"] = "AQAB";
  CHECK(
      problem_of(web.post(url, sign_flattened(client.key, print_json(with_private), "{}"))).type ==
      ProblemType::badPublicKey);
}

TEST_CASE("the cache of keys is bounded and keeps those in use") {
  KeyCache cache(2);
  const auto key = [](crypto::KeyType type) { return KeyCache::Key{.type = type, .key = {}}; };
  cache.put("a", key(crypto::KeyType::rsa));
  CHECK(cache.find("a")->type == crypto::KeyType::rsa);
  CHECK_FALSE(cache.find("b"));
  for (int i = 0; i < 10; ++i) {
    cache.put(std::to_string(i), key(crypto::KeyType::ec_p256));
    CHECK(cache.find("a").has_value());
  }
  CHECK_FALSE(cache.find("0"));
  CHECK_FALSE(cache.find("5"));
  CHECK(cache.find("9"));
}

}  // namespace
}  // namespace gatehouse::web
