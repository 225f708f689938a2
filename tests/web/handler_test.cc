#include "acme-server/web/handler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "acme-server/base/base64url.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::json_of;
using testing::link_of;
using testing::problem_of;
using testing::TestServices;
using testing::TestWeb;

std::size_t count_of(const http::Response& response, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count(
      response.headers, name, [](const http::Header& h) { return std::string_view(h.name); }));
}

TEST_CASE("the directory names every resource and says what a client must know") {
  TestWeb web;
  for (const char* target : {"/directory", "/acme/default/directory"}) {
    const http::Response response = web.send("GET", target);
    CHECK(response.status == 200);
    CHECK(header_of(response, "Content-Type") == "application/json");
    CHECK(link_of(response, "index").empty());
    const Json directory = json_of(response);
    CHECK(directory["newNonce"] == TestWeb::url("/new-nonce"));
    CHECK(directory["newAccount"] == TestWeb::url("/new-account"));
    CHECK(directory["newOrder"] == TestWeb::url("/new-order"));
    CHECK(directory["revokeCert"] == TestWeb::url("/revoke-cert"));
    CHECK(directory["keyChange"] == TestWeb::url("/key-change"));
    CHECK_FALSE(directory.contains("newAuthz"));
    const Json& meta = directory["meta"];
    CHECK(meta["website"] == "https://acme.test/about");
    CHECK(meta["caaIdentities"] == Json::array({"ca.test"}));
    CHECK(meta["externalAccountRequired"] == false);
    CHECK(meta["profiles"].contains("default"));
    CHECK_FALSE(meta.contains("termsOfService"));
  }
  CHECK(json_of(web.send("GET", "/acme/staging/directory"))["newOrder"] ==
        TestWeb::url("/new-order", "staging"));
}

TEST_CASE("the directory's terms are those in force") {
  TestWeb web;
  service::Directory directory = TestServices::default_directory();
  directory.terms_of_service = "https://acme.test/terms/2";
  web.services.use(directory);
  CHECK(json_of(web.send("GET", "/directory"))["meta"]["termsOfService"] ==
        "https://acme.test/terms/2");
}

TEST_CASE("newNonce gives a nonce that no cache may keep") {
  TestWeb web;
  for (const auto& [method, status] : {std::pair{"HEAD", 200}, std::pair{"GET", 204}}) {
    const http::Response response = web.send(method, "/acme/default/new-nonce");
    CHECK(response.status == status);
    CHECK(response.body == nullptr);
    CHECK(base64url_decode(header_of(response, "Replay-Nonce")).has_value());
    CHECK(header_of(response, "Cache-Control") == "no-store");
    CHECK(count_of(response, "Replay-Nonce") == 1);
    CHECK(link_of(response, "index") == TestWeb::url("/directory"));
  }
  Client client(web);
  client.new_account();
  const http::Response response = client.get(TestWeb::url("/new-nonce"));
  CHECK(response.status == 204);
  CHECK(count_of(response, "Replay-Nonce") == 1);
  CHECK(header_of(response, "Cache-Control") == "no-store");
  CHECK(client.get(TestWeb::url("/directory")).status == 200);
}

TEST_CASE("every answer to a POST has a nonce that works, errors included") {
  TestWeb web;
  Client client(web);
  client.new_account();
  const std::vector<http::Header> jose = {
      {.name = "Content-Type", .value = "application/jose+json"}};
  const http::Response answers[] = {
      web.send("POST", "/acme/default/new-order", "{}", jose),  // malformed
      web.send("POST", "/acme/default/new-order", "{}"),        // 415
      web.send("POST", "/acme/default/nothing", "{}", jose),    // 404
      web.send("POST", "/nothing", "{}", jose),                 // 404
      web.send("POST", "/acme/default/new-order", "{}", {{.name = "Host", .value = "evil.test"}}),
      client.post(TestWeb::url("/order/none"), std::string_view()),  // 404
      client.get(client.kid),                                        // 200
      client.new_order({"a.test"}),                                  // 201
  };
  for (const http::Response& answer : answers) {
    CAPTURE(answer.status);
    CHECK(count_of(answer, "Replay-Nonce") == 1);
    CHECK(header_of(answer, "Cache-Control") == "no-store");
    Json header = client.header_with_kid(client.kid);
    header["nonce"] = header_of(answer, "Replay-Nonce");
    CHECK(
        web.post(client.kid, testing::sign_flattened(client.key, print_json(header), "")).status ==
        200);
  }
}

TEST_CASE("a nonce from anywhere works anywhere") {
  TestWeb web;
  Client client(web, "staging");
  CHECK(client.new_account().status == 201);  // its nonces come from the default directory
}

TEST_CASE("what is read by POST-as-GET is not read by GET") {
  TestWeb web;
  Client client(web);
  client.new_account();
  const std::string order = header_of(client.new_order({"a.test"}), "Location");
  for (const std::string& url : {order, order + "/finalize", client.kid, client.kid + "/orders",
                                 TestWeb::url("/new-order"), TestWeb::url("/certificate/x")}) {
    CAPTURE(url);
    const std::string target = url.substr(testing::kBaseUrl.size());
    for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"}) {
      const http::Response response = web.send(method, target);
      CHECK(response.status == 405);
      CHECK(problem_of(response).type == ProblemType::malformed);
      CHECK(header_of(response, "Allow") == "POST, OPTIONS");
      CHECK(count_of(response, "Replay-Nonce") == 0);
    }
  }
  CHECK(header_of(web.send("PUT", "/directory"), "Allow") == "GET, HEAD, POST, OPTIONS");
}

TEST_CASE("every error is a problem document that links to the index") {
  TestWeb web;
  for (const http::Response& response :
       {web.send("GET", "/"), web.send("GET", "/acme/staging/nothing"),
        web.send("PUT", "/directory"), web.send("POST", "/acme/staging/new-order")}) {
    CHECK(header_of(response, "Content-Type") == "application/problem+json");
    CHECK(header_of(response, "Content-Language") == "en");
    CHECK(header_of(response, "X-Content-Type-Options") == "nosniff");
    const Json problem = json_of(response);
    CHECK(problem["status"] == response.status);
    CHECK(problem["type"] == "urn:ietf:params:acme:error:malformed");
    CHECK_FALSE(problem.contains("identifier"));
  }
  CHECK(link_of(web.send("GET", "/"), "index") == TestWeb::url("/directory"));
  CHECK(web.send("POST", "/acme/other/new-order").status == 404);
  CHECK(link_of(web.send("GET", "/acme/staging/nothing"), "index") ==
        TestWeb::url("/directory", "staging"));
}

TEST_CASE("who comes near the directory is told where it is") {
  TestWeb web;
  const auto detail_of = [&](std::string_view listener, const char* target) {
    http::Request request;
    request.listener = listener;
    request.method = "GET";
    request.target = target;
    request.headers = {{.name = "Host", .value = "acme.test"}};
    const http::Response response = web.answer_to(request);
    CHECK(response.status == 404);
    return problem_of(response).detail;
  };
  const std::string url = TestWeb::url("/directory");
  for (const char* target : {"/", "/directory/", "/Directory", "/acme", "/acme/default",
                             "/acme/default/", "/acme/directory", "/acme/default/directory/",
                             "/acme/none/directory", "/.well-known/acme"}) {
    CAPTURE(target);
    CHECK(detail_of(kAcmeListener, target).find(url + ".") != std::string::npos);
  }
  CHECK(
      detail_of(kAcmeListener, "/acme/staging/none").find(TestWeb::url("/directory", "staging")) !=
      std::string::npos);
  for (const char* target : {"/directory", "/acme/default/directory", "/acme/default/new-nonce"}) {
    CAPTURE(target);
    CHECK(detail_of(kPublicListener, target).find(url + ".") != std::string::npos);
    CHECK(detail_of(kOperationsListener, target).find(url + ".") != std::string::npos);
  }
  CHECK(detail_of(kPublicListener, "/none.crl").find("directory") == std::string::npos);
}

TEST_CASE("a request for another host is misdirected") {
  TestWeb web;
  const auto asked = [&](const char* host) {
    return web.send("GET", "/directory", "", {{.name = "Host", .value = host}});
  };
  CHECK(asked("evil.test").status == 421);
  CHECK(asked("10.0.0.1:8443").status == 200);
  // no URL is made of a Host, allowed or not
  CHECK(json_of(asked("10.0.0.1:8443"))["newOrder"] == TestWeb::url("/new-order"));

  WebOptions options = testing::test_web_options();
  options.allowed_hosts = {"evil.test"};
  web.handler.replace_hosts(options);
  CHECK(asked("evil.test").status == 200);
  CHECK(asked("10.0.0.1:8443").status == 421);
}

TEST_CASE("scripts of other origins may use the server") {
  TestWeb web;
  const http::Response preflight = web.send("OPTIONS", "/acme/default/new-order");
  CHECK(preflight.status == 204);
  CHECK(header_of(preflight, "Access-Control-Allow-Origin") == "*");
  CHECK(header_of(preflight, "Access-Control-Allow-Methods") == "POST");
  CHECK(header_of(preflight, "Access-Control-Allow-Headers") == "Content-Type");
  CHECK(header_of(web.send("OPTIONS", "/directory"), "Access-Control-Allow-Methods") ==
        "GET, HEAD, POST");
  CHECK(web.send("OPTIONS", "/acme/default/nothing").status == 404);
  for (const http::Response& response :
       {web.send("GET", "/directory"), web.send("POST", "/acme/default/new-order"),
        web.send("HEAD", "/acme/default/new-nonce")}) {
    CHECK(header_of(response, "Access-Control-Allow-Origin") == "*");
    CHECK(header_of(response, "Access-Control-Expose-Headers") ==
          "Link, Location, Replay-Nonce, Retry-After");
  }
}

TEST_CASE("a failure of ours tells the client a log id and the log the rest") {
  std::vector<std::string> lines;
  TestServices::Options options;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  TestWeb web(std::move(options));
  Client client(web);
  client.new_account();
  // A key that no longer reads, as a broken disk leaves it.
  const std::string id = client.kid.substr(client.kid.rfind('/') + 1);
  web.services.store->write([&](store::Tx& tx) {
    const Account account = tx.accounts().get(AccountId(id)).value();
    tx.accounts().change_key(account.directory, account.id, account.key_thumbprint, "t",
                             "{\"secret\":true}", account.key_spki_sha256);
  });
  const http::Response response = client.get(client.kid);
  CHECK(response.status == 500);
  const Problem problem = problem_of(response);
  CHECK(problem.type == ProblemType::serverInternal);
  CHECK(problem.detail.find("kty") == std::string::npos);
  const auto failed = std::ranges::find_if(
      lines, [](const std::string& l) { return l.find("request.failed") != std::string::npos; });
  REQUIRE(failed != lines.end());
  const Json event = parse_json(*failed);
  CHECK(problem.detail.find(event["log_id"].get<std::string>()) != std::string::npos);
  CHECK(event["reason"].get<std::string>().find(id) != std::string::npos);
}

TEST_CASE("each request is one line in the log, without nonce, key or payload") {
  std::vector<std::string> lines;
  TestServices::Options options;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  TestWeb web(std::move(options));
  http::Request request;
  request.listener = kAcmeListener;
  request.method = "GET";
  request.target = "/acme/default/order/x\r\ny";
  request.peer.address = "10.9.0.1";
  request.id = 7;
  request.headers = {{.name = "Host", .value = "acme.test"},
                     {.name = "User-Agent",
                      .value = "cli\x01"
                               "ent"},
                     {.name = "X-Forwarded-For", .value = "198.51.100.1"}};
  web.answer_to(request);
  REQUIRE(lines.size() == 2);  // the second says what was refused
  const Json event = parse_json(lines[0]);
  CHECK(event["event"] == "http.request");
  CHECK(event["client"] == "198.51.100.1");
  CHECK(event["status"] == 404);
  CHECK(event["problem"] == "malformed");
  CHECK(event["request"] == 7);
  // To a tenth of a millisecond.
  const double tenths = event["milliseconds"].get<double>() * 10;
  CHECK(std::abs(tenths - std::round(tenths)) < 1e-6);
  for (const std::string& line : lines) {
    CHECK(line.find('\r') == std::string::npos);
    CHECK(line.find('\x01') == std::string::npos);
  }

  lines.clear();
  Client client(web);
  client.new_account();
  for (const std::string& line : lines) {
    CHECK(line.find(client.key.jwk.x.empty() ? "?" : base64url_encode(client.key.jwk.x)) ==
          std::string::npos);
  }
}

TEST_CASE("which requests are a line is the config's to say, and a reload's") {
  std::vector<std::string> seen;
  TestServices::Options options;
  options.log = [&](LogLevel, std::string_view line) {
    const Json event = parse_json(line);
    if (event["event"] == "http.request") {
      seen.push_back(event["listener"].get<std::string>() + " " +
                     event["target"].get<std::string>());
    }
  };
  TestWeb web(std::move(options));
  const auto logged = [&] {
    seen.clear();
    web.send("GET", "/directory");
    web.send("GET", "/none");
    http::Request request;
    request.listener = kOperationsListener;
    request.method = "GET";
    request.target = "/healthz";
    web.answer_to(std::move(request));
    web.command("/status");
    return seen;
  };
  const std::vector<std::string> clients = {"acme /directory", "acme /none"};
  const std::vector<std::string> all = {"acme /directory", "acme /none", "operations /healthz",
                                        "control /status"};
  CHECK(logged() == clients);  // by default
  const auto reload = [&](AccessLog access) {
    WebOptions changed = testing::test_web_options();
    changed.access_log = access;
    web.handler.replace_hosts(changed);
  };
  reload(AccessLog::all);
  CHECK(logged() == all);
  reload(AccessLog::errors);
  CHECK(logged() == std::vector<std::string>{"acme /none"});
  reload(AccessLog::off);
  CHECK(logged().empty());
  reload(AccessLog::clients);
  CHECK(logged() == clients);
}

TEST_CASE("requests are counted by route, not by what clients make up") {
  TestWeb web;
  web.send("GET", "/directory");
  web.send("GET", "/acme/default/order/a");
  web.send("GET", "/acme/default/order/b");
  web.send("GET", "/made/up");
  const std::string text = web.services.context().metrics.text();
  const auto has = [&](const char* line) { return text.find(line) != std::string::npos; };
  CHECK(has(
      R"(gatehouse_http_requests_total{listener="acme",outcome="answered",route="/directory"} 1)"));
  CHECK(has(
      R"(gatehouse_http_requests_total{listener="acme",outcome="refused",route="/order/{order}"} 2)"));
  CHECK(has(R"(gatehouse_http_requests_total{listener="acme",outcome="refused",route="none"} 1)"));
  CHECK(has(R"(gatehouse_problems_total{type="malformed"} 3)"));
  CHECK_FALSE(has("made"));
}

TEST_CASE("a server with no time to spare says so in the form of the listener") {
  TestWeb web;
  http::Request request;
  request.listener = kAcmeListener;
  request.method = "POST";
  const http::Response response = web.handler.busy(request);
  CHECK(response.status == 503);
  CHECK(header_of(response, "Retry-After") == "5");
  CHECK_FALSE(header_of(response, "Replay-Nonce").empty());
  CHECK(problem_of(response).type == ProblemType::serverInternal);
  request.listener = kOperationsListener;
  CHECK(header_of(web.handler.busy(request), "Replay-Nonce").empty());
}

TEST_CASE("a path of one listener is nothing on another") {
  TestWeb web;
  const auto status_on = [&](std::string_view listener, const char* target) {
    http::Request request;
    request.listener = listener;
    request.method = "GET";
    request.target = target;
    request.headers = {{.name = "Host", .value = "acme.test"}};
    return web.answer_to(request).status;
  };
  for (const char* target : {"/directory", "/root.pem", "/healthz", "/readyz", "/metrics"}) {
    int found = 0;
    for (const std::string_view listener : {kAcmeListener, kPublicListener, kOperationsListener}) {
      const int status = status_on(listener, target);
      CHECK((status == 200 || status == 404));
      found += status == 200 ? 1 : 0;
    }
    CHECK(found == 1);
    CHECK(status_on("unheard-of", target) == 404);
  }
}

}  // namespace
}  // namespace gatehouse::web
