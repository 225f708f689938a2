// What an operator sees of what clients were refused.
#include "acme-server/store/refusals.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "acme-server/base/base64url.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::Client;
using testing::header_of;
using testing::json_of;
using testing::problem_of;
using testing::TestKey;
using testing::TestServices;
using testing::TestWeb;

struct Fixture {
  static TestServices::Options options(std::vector<Json>& events) {
    TestServices::Options options;
    options.log = [&events](LogLevel level, std::string_view line) {
      Json event = parse_json(line);
      if (event["event"] != "request.refused") return;
      event["level"] = level == LogLevel::info ? "info" : "warning";
      events.push_back(std::move(event));
    };
    return options;
  }

  std::string id_of(const std::string& url) { return url.substr(url.rfind('/') + 1); }

  std::vector<store::Refusal> kept() {
    return web.services.store->read(
        [&](store::Tx& tx) { return tx.refusals().of(AccountId(id_of(client.kid))); });
  }

  std::vector<std::string> told(const std::string& order) {
    std::vector<std::string> details;
    for (const store::AuditRow& row : web.services.store->read(
             [&](store::Tx& tx) { return tx.audit().of_order(OrderId(id_of(order))); })) {
      if (row.event.kind != "request.refused") continue;
      details.push_back(row.event.details["problem"]["detail"].get<std::string>());
    }
    return details;
  }

  std::vector<Json> events;
  TestWeb web{options(events)};
  Client client{web};
};

TEST_CASE("each problem sent is in the log with detail, account, order and host, and counted") {
  Fixture f;
  f.client.new_account();
  const std::string order = header_of(f.client.new_order({"a.test"}), "Location");
  CHECK(f.events.empty());
  // Answered with a Location besides the problem, which was once a way of its own.
  const http::Response refused = f.client.finalize(order, TestKey().csr({"a.test"}));
  CHECK(problem_of(refused).type == ProblemType::orderNotReady);
  CHECK(header_of(refused, "Location") == order);
  REQUIRE(f.events.size() == 1);
  const Json& event = f.events.front();
  CHECK(event["problem"] == "orderNotReady");
  CHECK(event["status"] == 403);
  CHECK(event["detail"] == problem_of(refused).detail);
  CHECK(event["account"] == f.id_of(f.client.kid));
  CHECK(event["order"] == f.id_of(order));
  CHECK(event["directory"] == "default");
  CHECK(event["host"] == "acme.test");
  CHECK(event["route"] == "/order/{order}/finalize");
  CHECK(event["level"] == "info");
  CHECK(f.web.services.context().metrics.text().find(
            R"(gatehouse_problems_total{type="orderNotReady"} 1)") != std::string::npos);
}

TEST_CASE("what is refused on any listener, or for want of time, is in the log") {
  Fixture f;
  const auto refused_on = [&](std::string_view listener, const char* target, const char* method) {
    f.events.clear();
    http::Request request;
    request.listener = listener;
    request.method = method;
    request.target = target;
    request.headers = {{.name = "Host", .value = "evil.test"}};
    request.peer.uid = testing::kOperator;
    return f.web.answer_to(request).status;
  };
  CHECK(refused_on(kAcmeListener, "/directory", "GET") == 421);
  CHECK(f.events.size() == 1);
  CHECK(f.events.front()["host"] == "evil.test");
  CHECK(refused_on(kPublicListener, "/none", "GET") == 404);
  CHECK(f.events.size() == 1);
  CHECK(refused_on(kOperationsListener, "/metrics", "POST") == 405);
  CHECK(f.events.size() == 1);
  CHECK(refused_on(kControlListener, "/status", "GET") == 405);
  CHECK(f.events.size() == 1);
  CHECK(refused_on("unheard-of", "/", "GET") == 404);
  CHECK(f.events.size() == 1);
  f.events.clear();
  http::Request request;
  request.listener = kAcmeListener;
  f.web.handler.busy(request);
  REQUIRE(f.events.size() == 1);
  CHECK(f.events.front()["level"] == "warning");
}

TEST_CASE("the account behind a refusal is named only when its key has signed") {
  Fixture f;
  f.client.new_account();
  const std::string to = TestWeb::url("/new-order");
  f.web.post(to,
             testing::sign_flattened(TestKey(), print_json(f.client.header_with_kid(to)), "{}"));
  REQUIRE(f.events.size() == 1);
  CHECK(f.events.front()["account"] == "");
  CHECK(f.kept().empty());
  Json header = f.client.header_with_kid(to);
  header["nonce"] = base64url_encode(as_bytes("none of ours, but as long as one"));
  f.web.post(to, testing::sign_flattened(f.client.key, print_json(header), "{}"));
  REQUIRE(f.events.size() == 2);
  CHECK(f.events.back()["account"] == f.id_of(f.client.kid));
  REQUIRE(f.kept().size() == 1);
  CHECK(f.kept().front().type == ProblemType::badNonce);
}

TEST_CASE("the first refusal of each order and kind is told with the order") {
  Fixture f;
  f.client.new_account();
  const std::string order = header_of(f.client.new_order({"a.test"}), "Location");
  for (int i = 0; i < 3; ++i) f.client.finalize(order, TestKey().csr({"a.test"}));
  const std::vector<std::string> told = f.told(order);
  REQUIRE(told.size() == 1);
  CHECK(f.kept().front().count == 3);
  CHECK(f.kept().front().order == OrderId(f.id_of(order)));
  f.client.post(order, Json::object());  // another kind
  CHECK(f.told(order).size() == 2);

  // Rows that gave way to others do not begin the telling anew.
  for (std::size_t i = 0; i < store::Refusals::kKept; ++i) {
    f.client.finalize(header_of(f.client.new_order({"b.test"}), "Location"), {});
  }
  f.client.finalize(order, TestKey().csr({"a.test"}));
  CHECK(f.told(order).size() == 2);
  CHECK(f.kept().size() == store::Refusals::kKept);

  const Json shown = json_of(f.web.command("/order/show", {{"order", f.id_of(order)}}));
  const std::string why = print_json(shown["why"]);
  CHECK(why.find("A request about it was refused at") != std::string::npos);
  const Json account =
      json_of(f.web.command("/account/show", {{"account", f.id_of(f.client.kid)}}));
  REQUIRE(account["refusals"].size() == store::Refusals::kKept);
  CHECK(account["refusals"][0]["detail"] == told.front());
  CHECK(account["refusals"][0]["problem"] == "orderNotReady");
}

TEST_CASE("a refusal at a challenge is told with the newest order that relies on it") {
  Fixture f;
  f.client.new_account();
  const http::Response response = f.client.new_order({"a.test"});
  const std::string url = json_of(response)["authorizations"][0].get<std::string>();
  const Json authorization = json_of(f.client.get(url));
  f.client.post(url, Json{{"status", "deactivated"}});
  f.client.post(authorization["challenges"][0]["url"].get<std::string>(), Json::object());
  CHECK(f.told(header_of(response, "Location")).size() == 1);
}

TEST_CASE("a refusal says nothing about an order of another account") {
  Fixture f;
  Client other(f.web);
  other.new_account();
  const std::string order = header_of(other.new_order({"a.test"}), "Location");
  const std::string authorization =
      json_of(other.get(order))["authorizations"][0].get<std::string>();
  f.client.new_account();
  CHECK(f.client.get(order).status == 404);
  CHECK(f.client.get(authorization).status == 404);
  CHECK(f.told(order).empty());
  for (const store::Refusal& refusal : f.kept()) CHECK_FALSE(refusal.order.has_value());
}

TEST_CASE("no refusal is written while nothing new is begun") {
  Fixture f;
  f.client.new_account();
  f.web.services.free_space = 0;
  f.web.services.stops().look();
  CHECK(f.client.new_order({"a.test"}).status == 503);
  CHECK(f.events.size() == 1);
  CHECK(f.kept().empty());
}

TEST_CASE("a request for another host is told which came, which was expected, and what to do") {
  Fixture f;
  const http::Response refused =
      f.web.send("GET", "/directory", "", {{.name = "Host", .value = "evil.test:8443"}});
  CHECK(refused.status == 421);
  const std::string detail = problem_of(refused).detail;
  for (const char* part :
       {"\"evil.test:8443\"", "acme.test;", "allowed_hosts", "proxy_set_header"}) {
    CAPTURE(part);
    CHECK(detail.find(part) != std::string::npos);
  }
  CHECK(detail.find("10.0.0.1") == std::string::npos);  // other names are not for strangers
}

}  // namespace
}  // namespace gatehouse::web
