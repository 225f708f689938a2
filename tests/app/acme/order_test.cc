// Orders and authorizations as a client meets them: RFC 8555 sections 7.4 and 7.5.
#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

TEST_CASE("an order goes from pending to ready to processing to valid") {
  TestServer server;
  AcmeClient client = registered(server);
  ClientOrder order = client.new_order({"a.test", "b.test", "10.0.0.1"});
  CHECK(order.status() == "pending");
  CHECK(order.json.at("identifiers") == AcmeClient::identifiers(order.names));
  CHECK(order.json.at("authorizations").size() == 3);
  CHECK_FALSE(order.json.contains("certificate"));

  client.respond(order);
  CHECK(client.get(order).status() == "pending");
  server.run_jobs();
  order = client.get(order);
  CHECK(order.status() == "ready");

  const Reply finalized = client.finalize(order);
  CHECK(finalized.status == 200);
  CHECK(finalized.json().at("status") == "processing");
  CHECK_FALSE(finalized.header("Retry-After").empty());
  CHECK(finalized.header("Location") == order.url);
  server.run_jobs();
  order = client.get(order);
  CHECK(order.status() == "valid");
  CHECK(client.download(order).status == 200);
}

TEST_CASE("names that cannot be ordered are told apart, one subproblem each") {
  TestServer server;
  AcmeClient client = registered(server);
  const Json identifiers = Json::array({{{"type", "dns"}, {"value", "good.test"}},
                                        {{"type", "dns"}, {"value", "bad_name!.test"}},
                                        {{"type", "email"}, {"value", "a@b.test"}}});
  const Reply reply = client.post(client.url_of("newOrder"), {{"identifiers", identifiers}});
  CHECK(reply.status == 400);
  CHECK(reply.problem() == "compound");
  const Json subproblems = reply.json().at("subproblems");
  REQUIRE(subproblems.size() == 2);
  CHECK(subproblems.at(0).at("identifier").at("value") == "bad_name!.test");
  CHECK(subproblems.at(1).at("type") == "urn:ietf:params:acme:error:unsupportedIdentifier");
  const Reply list = client.read(client.kid + "/orders");
  CHECK(list.json().at("orders").empty());
}

TEST_CASE("a wildcard is rejected where no challenge type can prove it") {
  TestServer server(
      {.config = parse_json(R"({"profiles": {"default": {"challenge_types": ["http-01"]}}})")});
  AcmeClient client = registered(server);
  const Reply reply = client.post(client.url_of("newOrder"),
                                  {{"identifiers", AcmeClient::identifiers({"*.a.test"})}});
  CHECK(reply.status == 403);
  CHECK(reply.problem() == "rejectedIdentifier");
  CHECK(reply.body.find("http-01") != std::string::npos);
}

TEST_CASE("names outside the profile's policy are rejected") {
  TestServer server(
      {.config = parse_json(
           R"({"profiles": {"default": {"identifiers": {"allowed_dns": ["corp.test"]}}}})")});
  AcmeClient client = registered(server);
  CHECK(client.new_order({"www.corp.test"}).status() == "pending");
  const Reply reply = client.post(client.url_of("newOrder"),
                                  {{"identifiers", AcmeClient::identifiers({"www.other.test"})}});
  CHECK(reply.status == 403);
  CHECK(reply.problem() == "rejectedIdentifier");
}

TEST_CASE("an order that nobody proves expires") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  server.advance(std::chrono::hours(24 * 8));
  CHECK(client.get(order).status() == "invalid");
  CHECK(client.finalize(order).problem() == "orderNotReady");
}

TEST_CASE("a failed validation is tried again, then ends challenge, authorization and order") {
  TestServer server;
  AcmeClient client = registered(server);
  server.validator.always(
      Problem{.type = ProblemType::connection, .detail = "http-01: a.test refused the connection"});
  const ClientOrder order = client.new_order({"a.test"});
  const std::string url = order.json.at("authorizations").at(0).get<std::string>();
  client.respond(order);
  server.run_jobs();
  const Json waiting = client.read(url).json().at("challenges").at(0);
  CHECK(waiting.at("status") == "processing");
  const Reply challenge = client.read(waiting.at("url").get<std::string>());
  CHECK_FALSE(challenge.header("Retry-After").empty());
  CHECK(challenge.links("up") == std::vector<std::string>{url});

  for (int i = 0; i < 10; ++i) {
    server.advance(std::chrono::seconds(10));
    server.run_jobs();
  }
  CHECK(server.validator.calls() == 3);
  const Json authorization = client.read(url).json();
  CHECK(authorization.at("status") == "invalid");
  const Json failed = authorization.at("challenges").at(0);
  CHECK(failed.at("error").at("type") == "urn:ietf:params:acme:error:connection");
  CHECK(client.get(order).status() == "invalid");
}

TEST_CASE("a challenge shows its token, and its time once it is proven") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  const std::string url = order.json.at("authorizations").at(0).get<std::string>();
  const Json challenge = client.read(url).json().at("challenges").at(0);
  CHECK(challenge.at("type") == "http-01");
  CHECK(challenge.at("status") == "pending");
  CHECK(challenge.at("token").get<std::string>().size() >= 22);
  client.respond(order);
  server.run_jobs();
  const Json proven = client.read(url).json();
  CHECK(proven.at("status") == "valid");
  REQUIRE(proven.at("challenges").size() == 1);
  CHECK(proven.at("challenges").at(0).contains("validated"));
}

TEST_CASE("a deactivated authorization ends its order") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test", "b.test"});
  const std::string url = order.json.at("authorizations").at(1).get<std::string>();
  const Reply reply = client.post(url, {{"status", "deactivated"}});
  CHECK(reply.status == 200);
  CHECK(reply.json().at("status") == "deactivated");
  CHECK(client.get(order).status() == "invalid");
}

TEST_CASE("a valid authorization serves the next order of the same account alone") {
  TestServer server;
  AcmeClient client = registered(server);
  AcmeClient other = registered(server);
  ready_order(server, client, {"a.test"});
  CHECK(client.new_order({"a.test"}).status() == "ready");
  CHECK(other.new_order({"a.test"}).status() == "pending");
}

TEST_CASE("notBefore and notAfter that the profile allows come back, others are refused") {
  TestServer server;
  AcmeClient client = registered(server);
  const std::string url = client.url_of("newOrder");
  const Json names = AcmeClient::identifiers({"a.test"});
  const Reply good = client.post(url, {{"identifiers", names},
                                       {"notBefore", "2026-06-01T12:00:00Z"},
                                       {"notAfter", "2026-06-08T12:00:00Z"}});
  CHECK(good.status == 201);
  CHECK(good.json().at("notAfter") == "2026-06-08T12:00:00Z");
  for (const char* end : {"2026-05-01T00:00:00Z", "2030-01-01T00:00:00Z", "tomorrow"}) {
    CAPTURE(end);
    const Reply bad = client.post(url, {{"identifiers", names}, {"notAfter", end}});
    CHECK(bad.status == 400);
    CHECK(bad.problem() == "malformed");
  }
}

TEST_CASE("http-01 is proven over DNS and a connection, by what the client serves") {
  TestServer server({.real_validators = true});
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  const std::string url = order.json.at("authorizations").at(0).get<std::string>();
  const std::string token =
      client.read(url).json().at("challenges").at(0).at("token").get<std::string>();
  server.resolver.add_address("a.test", "10.1.2.3");
  server.dialer.answer_http("10.1.2.3:80", token + "." + client.key.thumbprint());
  client.respond(order);
  server.run_jobs();
  CHECK(client.get(order).status() == "ready");
  REQUIRE(server.dialer.requests().size() == 1);
  CHECK(server.dialer.requests().front().starts_with("GET /.well-known/acme-challenge/" + token));
}

TEST_CASE("http-01 never connects to a loopback address that no profile allows") {
  TestServer server({.real_validators = true});
  AcmeClient client = registered(server);
  server.resolver.add_address("a.test", "127.0.0.1");
  const ClientOrder order = client.new_order({"a.test"});
  client.respond(order);
  for (int i = 0; i < 10; ++i) {
    server.run_jobs();
    server.advance(std::chrono::seconds(10));
  }
  CHECK(server.dialer.dialled().empty());
  CHECK(client.get(order).status() == "invalid");
}

}  // namespace
}  // namespace gatehouse::testing
