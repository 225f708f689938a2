// The control listener: who commands, what is a command, and that no other listener knows any.
#include "acme-server/web/admin/admin.h"

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
  return web.answer_to(request);
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
    // Some read like a resource of ACME (an account called "list"), which wants a JWS.
    const int status = ask(web, "acme", "POST", "/acme/default" + path).status;
    CHECK((status == 404 || status == 415));
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
  CHECK(status["attention"] == Json::array({"not ready: the CRL is out of date"}));
}

TEST_CASE("status says what ends, and what a person must see to") {
  TestWeb web;
  using Days = std::chrono::days;
  web.expiring = {{.what = "root CN=R", .ends = kNoon + Days(400)},
                  {.what = "root CRL /root.crl", .ends = kNoon + Days(3), .next_step = "make one"},
                  {.what = "certificate of listener acme.0", .ends = kNoon - Days(1)}};
  web.command("/stop-issuance", {{"why", "halt"}});
  const Json status = json_of(web.command("/status"));
  REQUIRE(status["expiring"].size() == 3);
  CHECK(status["expiring"][0]["state"] == "ok");
  CHECK(status["expiring"][1]["state"] == "warning");
  CHECK(status["expiring"][2]["state"] == "expired");
  REQUIRE(status["attention"].size() == 3);
  CHECK(status["attention"][0].get<std::string>().find("halt") != std::string::npos);
  CHECK(status["attention"][1].get<std::string>().find("root CRL /root.crl ends at ") == 0);
  CHECK(status["attention"][1].get<std::string>().ends_with("next step: make one"));
  CHECK(status["attention"][2].get<std::string>().find("has ended at ") != std::string::npos);
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

// A certificate of `account` for `name`.
CertificateId issue(TestWeb& web, const Account& account, const std::string& name) {
  const auto view = web.services.processing_order(account, {name});
  web.services.run_jobs();
  return web.services.show(account, view).order.certificate.value();
}

std::vector<std::string> members_of(const Json& object) {
  std::vector<std::string> members;
  for (const auto& item : object.items()) members.push_back(item.key());
  return members;
}

TEST_CASE("certificates are listed, shown and revoked") {
  TestWeb web;
  const Account account = web.services.new_account();
  const CertificateId first = issue(web, account, "a.test");
  web.services.advance(std::chrono::hours(1));
  const CertificateId second = issue(web, account, "b.test");

  const Json list = json_of(web.command("/certificate/list"));
  REQUIRE(list["certificates"].size() == 2);
  CHECK(list["next"].is_null());
  const Json& newest = list["certificates"][0];
  CHECK(newest["id"] == second.str());
  CHECK(newest["identifiers"] == Json::array({"dns:b.test"}));
  CHECK(newest["status"] == "valid");
  CHECK(members_of(newest) ==
        std::vector<std::string>{"id", "status", "serial", "issuer", "backend", "identifiers",
                                 "not_before", "not_after", "issued", "directory", "account",
                                 "order", "revocation", "profile"});
  CHECK(newest["profile"] == "default");
  const Json page = json_of(web.command("/certificate/list", {{"limit", 1}}));
  CHECK(page["next"] == second.str());
  const Json rest = json_of(web.command("/certificate/list", {{"after", page["next"]}}));
  REQUIRE(rest["certificates"].size() == 1);
  CHECK(rest["certificates"][0]["id"] == first.str());
  CHECK(json_of(web.command("/certificate/list", {{"name", "A.test"}}))["certificates"].size() ==
        1);
  CHECK(web.command("/certificate/list", {{"ends_before", "soon"}}).status == 400);
  CHECK(web.command("/certificate/list", {{"limit", 501}}).status == 400);

  const std::string serial = newest["serial"];
  const Json shown = json_of(web.command("/certificate/show", {{"certificate", serial}}));
  CHECK(shown["id"] == second.str());
  CHECK(shown["chain_pem"].get<std::string>().starts_with("-----BEGIN CERTIFICATE-----"));
  CHECK(web.command("/certificate/show", {{"certificate", "ff"}}).status == 404);
  CHECK(web.command("/certificate/show").status == 400);

  const Json wrong = {{"certificate", serial}, {"reason", 7}};
  CHECK(problem_of(web.command("/certificate/revoke", wrong)).type ==
        ProblemType::badRevocationReason);
  const Json revoke = {{"certificate", serial}, {"reason", 4}};
  const Json revoked = json_of(web.command("/certificate/revoke", revoke));
  CHECK(revoked["status"] == "revoked");
  CHECK(revoked["revocation"]["reason"] == 4);
  CHECK(problem_of(web.command("/certificate/revoke", revoke)).type == ProblemType::alreadyRevoked);
  const Json events = json_of(web.command("/audit/list", {{"kind", "certificate.revoked"}}));
  REQUIRE(events["events"].size() == 1);
  CHECK(events["events"][0]["actor"] == "operator:990");
}

TEST_CASE("accounts are listed, shown and deactivated") {
  TestWeb web;
  const Account account = web.services.new_account();
  web.services.new_order(account, {"a.test"});
  const Json list = json_of(web.command("/account/list"));
  REQUIRE(list["accounts"].size() == 1);
  CHECK(members_of(list["accounts"][0]) == std::vector<std::string>{"id", "status", "directory",
                                                                    "contacts", "created",
                                                                    "terms_agreed", "thumbprint"});
  const Json one = {{"account", account.id.str()}};
  const Json shown = json_of(web.command("/account/show", one));
  CHECK(shown["open_orders"] == 1);
  CHECK(shown["key"]["kty"] == "EC");
  CHECK(json_of(web.command("/account/deactivate", one, 0))["status"] == "deactivated");
  CHECK(web.command("/account/deactivate", one).status == 409);
  for (const char* path : {"/account/show", "/account/deactivate"}) {
    CHECK(web.command(path, {{"account", "none"}}).status == 404);
  }
  const Json events = json_of(web.command("/audit/list", {{"actor", "operator:0"}}));
  REQUIRE(events["events"].size() == 1);
  CHECK(events["events"][0]["kind"] == "account.deactivated");
}

TEST_CASE("an actor that nobody can be is refused, and not answered with no events") {
  TestWeb web;
  for (const char* actor : {"operator", "operator:root", "key:00", "Server"}) {
    CAPTURE(actor);
    const http::Response refused = web.command("/audit/list", {{"actor", actor}});
    CHECK(refused.status == 400);
    CHECK(problem_of(refused).detail.find("actor: write account:ID, operator:UID, ") !=
          std::string::npos);
  }
}

TEST_CASE("orders are listed and shown with their reasons, and resumed when they are parked") {
  TestWeb web;
  const Account account = web.services.new_account();
  issue(web, account, "a.test");
  const auto waiting = web.services.new_order(account, {"b.test"});
  const Json list = json_of(web.command("/order/list"));
  REQUIRE(list["orders"].size() == 2);
  CHECK(list["orders"][0]["id"] == waiting.order.id.str());
  CHECK(members_of(list["orders"][0]) ==
        std::vector<std::string>{"id", "status", "identifiers", "profile", "created", "expires",
                                 "finalized", "directory", "account", "certificate", "error",
                                 "failed_proofs"});
  CHECK(json_of(web.command("/order/list", {{"status", "valid"}}))["orders"].size() == 1);
  CHECK(web.command("/order/list", {{"status", "good"}}).status == 400);
  const Json owned = json_of(web.command("/order/list", {{"account", account.id.str()}}));
  CHECK(owned["orders"].size() == 2);
  const Json page = json_of(web.command("/order/list", {{"limit", 1}}));
  CHECK(page["next"].is_string());
  const Json rest = json_of(web.command("/order/list", {{"after", page["next"]}}));
  CHECK(rest["orders"].size() == 1);

  CHECK(list["orders"][0]["failed_proofs"] == Json::array());

  const Json one = {{"order", waiting.order.id.str()}};
  const Json shown = json_of(web.command("/order/show", one));
  REQUIRE(shown["why"].size() == 1);
  CHECK(shown["why"][0].get<std::string>().starts_with("b.test: waits for the client"));
  CHECK(shown["authorizations"][0]["challenges"][0]["type"] == "http-01");
  CHECK(shown["events"][0]["kind"] == "order.created");
  CHECK(shown["job"].is_null());
  CHECK(web.command("/order/show", {{"order", "none"}}).status == 404);
  CHECK(web.command("/order/resume", {{"order", "none"}}).status == 404);
  CHECK(web.command("/order/resume", one).status == 409);
}

TEST_CASE("a list of orders says what failed, also where the order itself has no error") {
  TestWeb web;
  web.services.http01->always(
      Problem{.type = ProblemType::dns, .detail = "No DNS server answered for a.test"});
  const Account account = web.services.new_account();
  const auto view = web.services.new_order(account, {"a.test"});
  web.services.respond(account, view);
  for (int i = 0; i < 5; ++i) {
    web.services.advance(std::chrono::seconds(60));
    web.services.run_jobs();
  }
  const Json order = json_of(web.command("/order/list"))["orders"][0];
  CHECK(order["status"] == "invalid");
  REQUIRE(order["failed_proofs"].size() == 1);
  CHECK(order["failed_proofs"][0]["identifier"] == "a.test");
  CHECK(order["failed_proofs"][0]["challenge"] == "http-01");
  CHECK(order["failed_proofs"][0]["problem"]["detail"] == "No DNS server answered for a.test");
}

TEST_CASE("orders that a CA elsewhere has not decided are listed, the newest first") {
  TestWeb web;
  const Account account = web.services.new_account();
  issue(web, account, "issued.test");
  web.services.ca->always(testing::ScriptedBackend::Step::pend);
  std::vector<std::string> asked;
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    web.services.advance(std::chrono::seconds(1));
    asked.push_back(web.services.processing_order(account, {name}).order.id.str());
    web.services.run_jobs(1);
  }
  const Json first = json_of(web.command("/order/list", {{"undecided", true}, {"limit", 2}}));
  REQUIRE(first["orders"].size() == 2);
  CHECK(first["orders"][0]["id"] == asked.at(2));
  CHECK(first["orders"][0]["status"] == "processing");
  CHECK(first["orders"][0]["asked_again"].is_string());
  CHECK(first["orders"][1]["id"] == asked.at(1));
  const Json rest =
      json_of(web.command("/order/list", {{"undecided", true}, {"after", first["next"]}}));
  REQUIRE(rest["orders"].size() == 1);
  CHECK(rest["orders"][0]["id"] == asked.at(0));
  CHECK(json_of(web.command("/order/list", {{"undecided", true}, {"account", "none"}}))["orders"]
            .empty());

  web.services.ca->always(testing::ScriptedBackend::Step::issue);
  web.services.advance(std::chrono::hours(1));
  web.services.run_jobs();
  CHECK(json_of(web.command("/order/list", {{"undecided", true}}))["orders"].empty());
}

TEST_CASE("the audit trail is exported and verified in slices") {
  TestWeb web;
  issue(web, web.services.new_account(), "a.test");
  const Json list = json_of(web.command("/audit/list"));
  REQUIRE(list["events"].size() > 5);
  CHECK(members_of(list["events"][0]) ==
        std::vector<std::string>{"sequence", "at", "kind", "actor", "directory", "account", "order",
                                 "authorization", "certificate", "details", "hash"});
  CHECK(list["events"][0]["kind"] == "account.created");
  const Json verified = json_of(web.command("/audit/verify"));
  CHECK(verified["broken"].is_null());
  CHECK(verified["end"] == true);
  const Json& last = list["events"].back();
  CHECK(verified["sequence"] == last["sequence"]);
  CHECK(verified["hash"] == last["hash"]);
  const Json wrong = {{"sequence", 1}, {"hash", std::string(64, '0')}};
  CHECK(json_of(web.command("/audit/verify", wrong))["broken"].is_string());
}

}  // namespace
}  // namespace gatehouse::testing
