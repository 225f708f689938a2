// Two directories of one server: nothing of one is seen or used through the other.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/crypto/certificate.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::json_of;
using testing::problem_of;
using testing::sign_flattened;
using testing::TestKey;
using testing::TestServices;
using testing::TestWeb;

std::string text_of(const http::Response& response) {
  return std::to_string(response.status) + " " + (response.body ? *response.body : "");
}

// The part of a URL below its directory: "/order/abc".
std::string below_directory(const std::string& url) {
  const std::string prefix = TestWeb::url("");
  REQUIRE(url.starts_with(prefix));
  return url.substr(prefix.size());
}

// `path` with another id, which nobody has: "/order/abc/finalize" -> "/order/nobody/finalize".
std::string of_nobody(const std::string& path) {
  const std::size_t id = path.find('/', 1) + 1;
  const std::size_t end = path.find('/', id);
  return path.substr(0, id) + "nobody" + (end == std::string::npos ? "" : path.substr(end));
}

// An account of "default" with one of everything, and one of "staging".
struct Fixture {
  Fixture() {
    owner.new_account();
    stranger.new_account();
    const std::string pending_order = header_of(owner.new_order({"p.test"}), "Location");
    authorization = json_of(owner.get(pending_order))["authorizations"][0].get<std::string>();
    challenge = json_of(owner.get(authorization))["challenges"][0]["url"].get<std::string>();
    order = owner.ready_order({"r.test"});
    certificate = owner.certificate({"a.test"}, certificate_key);
    REQUIRE_FALSE(certificate.empty());
  }

  // Everything about what `owner` has that a request could have changed.
  std::string everything() {
    std::string all;
    for (const std::string& url : {owner.kid, order, authorization, challenge}) {
      all += text_of(owner.get(url)) + "\n";
    }
    return all;
  }

  std::string leaf() {
    const std::string chain = *owner.get(certificate).body;
    return base64url_encode(crypto::parse_pem_chain(chain)->front().der);
  }

  TestWeb web;
  Client owner{web};
  Client stranger{web, "staging"};
  TestKey certificate_key;
  std::string authorization, challenge;  // pending
  std::string order;                     // ready
  std::string certificate;
};

struct Row {
  std::string what;
  std::function<std::string(Fixture&)> url;  // of what `owner` has
  std::string payload;                       // empty: POST-as-GET
};

std::vector<Row> rows() {
  const auto account = [](Fixture& f) { return f.owner.kid; };
  const auto order = [](Fixture& f) { return f.order; };
  const auto authorization = [](Fixture& f) { return f.authorization; };
  const auto challenge = [](Fixture& f) { return f.challenge; };
  const auto certificate = [](Fixture& f) { return f.certificate; };
  const auto at = [](const auto& base, const std::string& suffix) {
    return [base, suffix](Fixture& f) { return base(f) + suffix; };
  };
  const std::string csr = base64url_encode(TestKey().csr({"r.test"}));
  return {
      {"account", account, ""},
      {"account's contacts", account, R"({"contact": ["mailto:x@b.test"]})"},
      {"account's end", account, R"({"status": "deactivated"})"},
      {"account's orders", at(account, "/orders"), ""},
      {"order", order, ""},
      {"finalize", at(order, "/finalize"), R"({"csr": ")" + csr + R"("})"},
      {"authorization", authorization, ""},
      {"authorization's end", authorization, R"({"status": "deactivated"})"},
      {"challenge", challenge, ""},
      {"answer to a challenge", challenge, "{}"},
      {"certificate", certificate, ""},
      {"alternate chain", at(certificate, "/alternate/0"), ""},
  };
}

TEST_CASE("what is in one directory is nothing under the URLs of another") {
  Fixture f;
  const std::string before = f.everything();
  for (const Row& row : rows()) {
    CAPTURE(row.what);
    const std::string path = below_directory(row.url(f));
    const std::string known =
        text_of(f.stranger.post(f.stranger.url(path), std::string_view(row.payload)));
    CHECK(known ==
          text_of(f.stranger.post(f.stranger.url(of_nobody(path)), std::string_view(row.payload))));
    CHECK((known.starts_with("404 ") || known.starts_with("403 ")));
  }
  CHECK(f.everything() == before);
}

TEST_CASE("an account signs for no URL of another directory") {
  Fixture f;
  const std::string before = f.everything();
  const std::string id = below_directory(f.owner.kid);
  std::vector<Row> all = rows();
  all.push_back({"new order", [](Fixture& g) { return g.owner.url("/new-order"); },
                 R"({"identifiers": [{"type": "dns", "value": "a.test"}]})"});
  all.push_back({"key change", [](Fixture& g) { return g.owner.url("/key-change"); }, "{}"});
  all.push_back({"revocation", [](Fixture& g) { return g.owner.url("/revoke-cert"); }, "{}"});
  for (const Row& row : all) {
    CAPTURE(row.what);
    // The stranger, with its own URL, at the owner's.
    const http::Response foreign = f.stranger.post(row.url(f), std::string_view(row.payload));
    CHECK(foreign.status == 400);
    CHECK(problem_of(foreign).detail.find("no account URL of this directory") != std::string::npos);
    // The owner, under the URL that its id would have in the other directory.
    const std::string there = TestWeb::url(below_directory(row.url(f)), "staging");
    Json header = f.owner.header_with_kid(there);
    header["kid"] = TestWeb::url(id, "staging");
    const http::Response moved =
        f.web.post(there, sign_flattened(f.owner.key, print_json(header), row.payload));
    CHECK(problem_of(moved).type == ProblemType::accountDoesNotExist);
  }
  CHECK(f.everything() == before);
}

TEST_CASE("an account revokes certificates of its own directory alone, and a key all of its own") {
  Fixture f;
  const std::string leaf = f.leaf();
  // As good as the issuing account, were it in the same directory.
  f.stranger.ready_order({"a.test"});
  const http::Response foreign =
      f.stranger.post(f.stranger.url("/revoke-cert"), Json{{"certificate", leaf}});
  CHECK(foreign.status == 400);
  CHECK(problem_of(foreign).type == ProblemType::malformed);

  // In the words for a certificate that nobody here has issued.
  Bytes other = base64url_decode(leaf).value();
  other.back() ^= 1;
  CHECK(text_of(foreign) ==
        text_of(f.stranger.post(f.stranger.url("/revoke-cert"),
                                Json{{"certificate", base64url_encode(other)}})));

  Client neighbour(f.web);
  neighbour.new_account();
  neighbour.ready_order({"a.test"});
  const std::string url = TestWeb::url("/revoke-cert", "staging");
  const Json header = {{"alg", "ES256"},
                       {"jwk", testing::jwk_json(f.certificate_key)},
                       {"nonce", f.web.nonce()},
                       {"url", url}};
  CHECK(f.web
            .post(url, sign_flattened(f.certificate_key, print_json(header),
                                      print_json(Json{{"certificate", leaf}})))
            .status == 200);
  CHECK(
      problem_of(neighbour.post(neighbour.url("/revoke-cert"), Json{{"certificate", leaf}})).type ==
      ProblemType::alreadyRevoked);
}

TEST_CASE("a key has an account of its own in each directory") {
  TestWeb web;
  Client client(web);
  const std::string here = header_of(client.new_account(), "Location");
  const std::string new_account = TestWeb::url("/new-account", "staging");
  // Known in one directory, unknown in the other.
  CHECK(problem_of(client.post_with_jwk(new_account, Json{{"onlyReturnExisting", true}})).type ==
        ProblemType::accountDoesNotExist);
  const http::Response made = client.post_with_jwk(new_account, Json::object());
  CHECK(made.status == 201);
  const std::string there = header_of(made, "Location");
  CHECK(there.starts_with(TestWeb::url("/account/", "staging")));
  CHECK(below_directory(here) != there.substr(TestWeb::url("", "staging").size()));

  CHECK(client.post(here, Json{{"status", "deactivated"}}).status == 200);
  CHECK(client.get(here).status == 401);
  client.kid = there;
  CHECK(client.get(there).status == 200);
}

TEST_CASE("a key that an account of another directory has is free for a rollover") {
  TestWeb web;
  Client client(web);
  client.new_account();
  Client stranger(web, "staging");
  stranger.new_account();
  const std::string url = client.url("/key-change");
  const Json inner = {{"account", client.kid}, {"oldKey", testing::jwk_json(client.key)}};
  const Json header = {{"alg", "ES256"}, {"jwk", testing::jwk_json(stranger.key)}, {"url", url}};
  const std::string inner_jws = sign_flattened(stranger.key, print_json(header), print_json(inner));
  CHECK(client.post(url, std::string_view(inner_jws)).status == 200);
}

TEST_CASE("each directory has its own terms, website, CAA identities and profiles") {
  TestWeb web;
  service::Directory staging = TestServices::default_directory();
  staging.name = DirectoryId("staging");
  staging.terms_of_service = "https://acme.test/staging-terms";
  staging.website = "https://acme.test/staging";
  staging.caa_identities = {"staging.test"};
  staging.profiles = {{"trial", staging.profiles.at("default")}};
  staging.profiles.at("trial").name = "trial";
  staging.default_profile = "trial";
  staging.account_keys.allowed = {crypto::KeyType::ec_p256};
  web.services.use(staging);

  const Json meta = json_of(web.send("GET", "/acme/staging/directory"))["meta"];
  CHECK(meta["termsOfService"] == staging.terms_of_service);
  CHECK(meta["website"] == staging.website);
  CHECK(meta["caaIdentities"] == Json::array({"staging.test"}));
  CHECK(meta["profiles"].size() == 1);
  CHECK(meta["profiles"].contains("trial"));
  const Json plain = json_of(web.send("GET", "/acme/default/directory"))["meta"];
  CHECK_FALSE(plain.contains("termsOfService"));
  CHECK(plain["caaIdentities"] == Json::array({"ca.test"}));
  CHECK(plain["profiles"].contains("default"));

  Client client(web);
  CHECK(client.new_account().status == 201);
  Client stranger(web, "staging");
  CHECK(problem_of(stranger.new_account()).type == ProblemType::userActionRequired);
  CHECK(stranger.new_account({{"termsOfServiceAgreed", true}}).status == 201);
  const Json order = json_of(stranger.new_order({"a.test"}));
  CHECK(order["profile"] == "trial");
  const Json named = {{"identifiers", Json::array({Json{{"type", "dns"}, {"value", "a.test"}}})},
                      {"profile", "trial"}};
  CHECK(problem_of(client.post(client.url("/new-order"), named)).detail.find("there are default") !=
        std::string::npos);
}

TEST_CASE("a directory that the rules do not name is nobody's, until a reload names it") {
  TestWeb web;
  CHECK(web.send("GET", "/acme/devices/directory").status == 404);
  CHECK(web.send("GET", "/acme/devices/new-nonce").status == 404);
  CHECK(testing::link_of(web.send("GET", "/acme/devices/new-nonce"), "index") ==
        TestWeb::url("/directory"));
  service::Directory devices = TestServices::default_directory();
  devices.name = DirectoryId("devices");
  web.services.use(devices);
  Client client(web, "devices");
  CHECK(client.new_account().status == 201);
  CHECK_FALSE(client.certificate({"a.test"}, TestKey()).empty());
}

}  // namespace
}  // namespace gatehouse::web
