// The control listener: who commands, what is a command, and that no other listener knows any.
#include "acme-server/web/admin.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/test_web.h"

namespace gatehouse::testing {
namespace {

http::Response ask(TestWeb& web, std::string listener, std::string method, std::string target) {
  http::Request request;
  request.listener = std::move(listener);
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers = {{.name = "Host", .value = "acme.test"}};
  request.body = "{}";
  request.peer.uid = kOperator;
  return web.handler.handle(request);
}

std::vector<std::string> commands() {
  TestServices services;
  web::Admin admin(services.context(), {}, [] { return std::vector<std::string>(); });
  web::OperatorAuth auth(admin, {});
  return web::admin_routes(auth).patterns();
}

// What a careless router would take for `path`.
std::vector<std::string> mutations_of(const std::string& path) {
  const std::string tail = path.substr(1);
  std::string upper = path;
  upper.back() = static_cast<char>(upper.back() - 'a' + 'A');
  std::vector<std::string> all = {
      path + "/",
      path + "//",
      "/" + path,
      path + "/x",
      path + "/..",
      path + "/.",
      path + "/../" + tail,
      path + ";a=b",
      path + ";",
      path + "?",
      path + "?a=b",
      path + "#",
      path + "%2f",
      path + "%00",
      path + "%20",
      path + " ",
      path + ".json",
      path + "\\",
      path + ",",
      path + "*",
      "/." + path,
      "/.." + path,
      "/x/.." + path,
      "//x" + path,
      "/%2e" + path,
      "/%2f" + tail,
      "%2f" + tail,
      "\\" + tail,
      tail,
      "./" + tail,
      upper,
      "/control" + path,
      "/acme" + path,
      "/acme/default" + path,
      "/v1" + path,
      "http://x" + path,
      path.substr(0, path.size() - 1),
      path + tail,
      path + "\t",
      "/directory" + path,
      path + "%252f",
      path + "\xC3\xA9",
  };
  return all;
}

TEST_CASE("a command's path is taken as it is written and in no other form") {
  TestWeb web;
  const auto paths = commands();
  REQUIRE_FALSE(paths.empty());
  for (const std::string& path : paths) {
    CAPTURE(path);
    CHECK(ask(web, "control", "POST", path).status != 404);
    const auto mutations = mutations_of(path);
    CHECK(mutations.size() >= 40);
    for (const std::string& mutation : mutations) {
      CAPTURE(mutation);
      CHECK(ask(web, "control", "POST", mutation).status == 404);
    }
    for (const char* method :
         {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "PATCH", "TRACE"}) {
      CAPTURE(method);
      const http::Response response = ask(web, "control", method, path);
      CHECK(response.status == 405);
      CHECK(header_of(response, "Allow") == "POST");
    }
  }
}

TEST_CASE("no other listener knows a command") {
  TestWeb web;
  for (const std::string& path : commands()) {
    CAPTURE(path);
    for (const char* listener : {"acme", "public", "operations", "", "Control"}) {
      CAPTURE(listener);
      CHECK(ask(web, listener, "POST", path).status == 404);
      CHECK(ask(web, listener, "GET", path).status == 404);
    }
    CHECK(ask(web, "acme", "POST", "/acme/default" + path).status == 404);
  }
  // Nor does the control listener know what others serve.
  for (const char* path :
       {"/directory", "/acme/default/new-nonce", "/root.pem", "/metrics", "/readyz", "/healthz"}) {
    CHECK(ask(web, "control", "GET", path).status == 404);
  }
}

TEST_CASE("commands are root's and the server's own user's") {
  TestWeb web;
  for (const std::string& path : commands()) {
    CAPTURE(path);
    for (const std::optional<std::uint32_t> uid :
         {std::optional<std::uint32_t>(), std::optional<std::uint32_t>(1000),
          std::optional<std::uint32_t>(65534)}) {
      const http::Response response = web.command(path, Json::object(), uid);
      CHECK(response.status == 403);
      CHECK(problem_of(response).type == ProblemType::unauthorized);
    }
    CHECK(web.command(path, Json::object(), 0).status != 403);
    CHECK(web.command(path).status != 403);
  }
}

TEST_CASE("a command that does not read is told so") {
  TestWeb web;
  for (const std::string& path : commands()) {
    CAPTURE(path);
    for (const Json& body : {Json::array(), Json("x"), Json({{"no_such_member", 1}})}) {
      const http::Response response = web.command(path, body);
      CHECK(response.status == 400);
      CHECK(problem_of(response).type == ProblemType::malformed);
    }
  }
}

TEST_CASE("status says what there is") {
  TestWeb web;
  web.not_ready = {"the CRL is out of date"};
  web.services.advance(std::chrono::minutes(90));
  const http::Response response = web.command("/status");
  CHECK(response.status == 200);
  CHECK(header_of(response, "Cache-Control") == "no-store");
  const Json status = json_of(response);
  CHECK(status["version"] == "1.2.3");
  CHECK(status["uptime_seconds"] == 5400);
  CHECK(status["ready"] == false);
  CHECK(status["not_ready"] == Json::array({"the CRL is out of date"}));
  CHECK(status["listeners"] == Json::array({"acme.0 on [::]:443"}));
  CHECK(status["schema"].get<int>() >= 1);
  REQUIRE(status["issuers"].size() == 1);
  const Json& issuer = status["issuers"][0];
  CHECK(issuer["backend"] == "local");
  CHECK(issuer["signs_new"] == true);
  REQUIRE(issuer["crls"].size() == 1);
  CHECK(issuer["crls"][0]["number"].is_null());
  CHECK(status["parked"] == Json::array());
  CHECK(status["audit"]["sequence"] == 0);
  CHECK(status["issuance_stopped"] == Json::array());
}

TEST_CASE("a clock that is off is accepted in so many words") {
  TestWeb web;
  web.services.uptime.set_clock_by(std::chrono::hours(2));
  const Json stopped = json_of(web.command("/stop-issuance", {{"why", "halt"}}));
  CHECK(stopped["changed"] == true);
  CHECK(json_of(web.command("/stop-issuance", {{"why", "halt"}}))["changed"] == false);
  CHECK(web.command("/stop-issuance", {{"why", ""}}).status == 400);
  const Json half = json_of(web.command("/resume-issuance"));
  REQUIRE(half["ended"].size() == 1);
  CHECK(half["ended"][0]["reason"] == "operator");
  REQUIRE(half["stopped"].size() == 1);
  CHECK(half["stopped"][0]["reason"] == "clock");
  const Json whole = json_of(web.command("/resume-issuance", {{"accept_clock", true}}));
  CHECK(whole["ended"][0]["reason"] == "clock");
  CHECK(whole["stopped"] == Json::array());
}

}  // namespace
}  // namespace gatehouse::testing
