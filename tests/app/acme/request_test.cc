// What every request is held to: RFC 8555 section 6, over the whole server.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

TEST_CASE("the directory names every resource, under both of its URLs") {
  TestServer server;
  AcmeClient client = client_of(server);
  const Reply reply = client.get("/directory");
  CHECK(reply.status == 200);
  CHECK(reply.header("Content-Type") == "application/json");
  const Json directory = reply.json();
  for (const char* resource : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
    CAPTURE(resource);
    CHECK(directory.at(resource).get<std::string>().starts_with("https://acme.test/acme/default/"));
  }
  CHECK(client.get("/acme/default/directory").json() == directory);
  CHECK(client.get("/acme/other/directory").status == 404);
}

TEST_CASE("newNonce gives a fresh nonce to HEAD and GET, never to be stored") {
  TestServer server;
  AcmeClient client = client_of(server);
  const std::string url = client.url_of("newNonce");
  const Reply head = client.call("HEAD", url);
  const Reply get = client.call("GET", url);
  CHECK(head.status == 200);
  CHECK(get.status == 204);
  for (const Reply& reply : {head, get}) {
    CHECK(reply.header("Cache-Control") == "no-store");
    CHECK_FALSE(reply.header("Replay-Nonce").empty());
  }
  CHECK(head.header("Replay-Nonce") != get.header("Replay-Nonce"));
}

TEST_CASE("a nonce is good once") {
  TestServer server;
  AcmeClient client = registered(server);
  const std::string nonce = client.nonce();
  const std::string body = sign_with_kid(client.key, client.kid, client.kid, nonce, "");
  CHECK(client.call("POST", client.kid, body).status == 200);
  const Reply replayed = client.call("POST", client.kid, body);
  CHECK(replayed.status == 400);
  CHECK(replayed.problem() == "badNonce");
  CHECK_FALSE(replayed.header("Replay-Nonce").empty());
  const Reply made_up = client.call("POST", client.kid,
                                    sign_with_kid(client.key, client.kid, client.kid, "AAAA", ""));
  CHECK(made_up.problem() == "badNonce");
}

TEST_CASE("nonces of an earlier run of the server are not taken") {
  TestServer server;
  AcmeClient client = registered(server);
  const std::string nonce = client.nonce();
  server.restart();
  const Reply reply =
      client.call("POST", client.kid, sign_with_kid(client.key, client.kid, client.kid, nonce, ""));
  CHECK(reply.problem() == "badNonce");
}

TEST_CASE("the url in the JWS is the one it was sent to") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  for (const std::string& url :
       {order.url, client.kid + "/", std::string("http://") + client.kid.substr(8)}) {
    CAPTURE(url);
    const Reply reply = client.call("POST", client.kid,
                                    sign_with_kid(client.key, client.kid, url, client.nonce(), ""));
    CHECK(reply.problem() == "unauthorized");
  }
}

TEST_CASE("a signature that does not verify is no request of the account") {
  TestServer server;
  AcmeClient client = registered(server);
  const TestKey other = TestKey::generate(TestKey::Kind::p256);
  const Reply forged = client.call(
      "POST", client.kid, sign_with_kid(other, client.kid, client.kid, client.nonce(), ""));
  CHECK(forged.status == 400);
  CHECK(forged.problem() == "malformed");
  const Reply unknown =
      client.call("POST", client.kid,
                  sign_with_kid(client.key, client.kid.substr(0, client.kid.size() - 4) + "AAAA",
                                client.kid, client.nonce(), ""));
  CHECK(unknown.problem() == "accountDoesNotExist");
}

TEST_CASE("kid and jwk are taken where they belong") {
  TestServer server;
  AcmeClient client = registered(server);
  const std::string order_url = client.url_of("newOrder");
  const Json names = {{"identifiers", AcmeClient::identifiers({"a.test"})}};
  CHECK(client.post_by_key(client.key, order_url, names).problem() == "malformed");
  CHECK(client.post(client.url_of("newAccount"), Json::object()).problem() == "malformed");
}

TEST_CASE("algorithms that are not signatures by an account key are refused by name") {
  TestServer server;
  AcmeClient client = registered(server);
  for (const char* algorithm : {"none", "HS256", "RS1", "PS256"}) {
    CAPTURE(algorithm);
    const Json header = {
        {"alg", algorithm}, {"kid", client.kid}, {"nonce", client.nonce()}, {"url", client.kid}};
    const Reply reply = client.call("POST", client.kid, sign_jws(client.key, header, ""));
    CHECK(reply.status == 400);
    CHECK(reply.problem() == "badSignatureAlgorithm");
    CHECK(reply.json().at("algorithms").size() >= 2);
  }
}

TEST_CASE("other methods and media types are refused with what is taken") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  for (const std::string& url : {client.kid, order.url, client.url_of("newOrder")}) {
    CAPTURE(url);
    const Reply get = client.get(url);
    CHECK(get.status == 405);
    CHECK(get.problem() == "malformed");
    CHECK(get.header("Allow").find("POST") != std::string::npos);
    const Reply form =
        client.call("POST", url, "{}", {{"Content-Type", "application/x-www-form-urlencoded"}});
    CHECK(form.status == 415);
    CHECK(form.problem() == "malformed");
  }
}

TEST_CASE("another Host is not ours to answer") {
  TestServer server({.config = {{"allowed_hosts", {"10.0.0.5:8443"}}}});
  AcmeClient client = client_of(server);
  const auto status_for = [&](const std::string& host) {
    return client.call("GET", "/directory", "", {{"Host", host}}).status;
  };
  CHECK(status_for("evil.test") == 421);
  CHECK(status_for("acme.test:8443") == 421);
  CHECK(status_for("acme.test") == 200);
  CHECK(status_for("ACME.test:443") == 200);
  const Reply allowed = client.call("GET", "/directory", "", {{"Host", "10.0.0.5:8443"}});
  CHECK(allowed.status == 200);
  // No URL is ever made of the Host.
  CHECK(allowed.json().at("newOrder").get<std::string>().starts_with("https://acme.test/"));
}

TEST_CASE("browsers may call from anywhere and read the headers of the protocol") {
  TestServer server;
  AcmeClient client = registered(server);
  const Reply reply = client.read(client.kid);
  CHECK(reply.header("Access-Control-Allow-Origin") == "*");
  for (const char* name : {"Link", "Location", "Replay-Nonce", "Retry-After"}) {
    CHECK(reply.header("Access-Control-Expose-Headers").find(name) != std::string::npos);
  }
  const Reply asked = client.call("OPTIONS", client.url_of("newOrder"));
  CHECK(asked.status == 204);
  CHECK(asked.header("Access-Control-Allow-Methods").find("POST") != std::string::npos);
  CHECK(asked.header("Access-Control-Allow-Headers").find("Content-Type") != std::string::npos);
}

TEST_CASE("operations tell health, readiness and figures, on their own listener alone") {
  TestServer server;
  CHECK(server.get("operations", "/healthz").status == 200);
  const http::Response ready = server.get("operations", "/readyz");
  CHECK(ready.status == 200);
  CHECK(parse_json(*ready.body).at("ready") == true);
  CHECK(server.get("operations", "/metrics").body->find("gatehouse_http_requests_total") !=
        std::string::npos);
  CHECK(server.get("operations", "/directory").status == 404);
  CHECK(server.get("acme", "/readyz").status == 404);
  // Its CRL ran out: clients that check revocation would refuse every certificate.
  server.clock.advance(std::chrono::hours(24 * 8));
  const http::Response late = server.get("operations", "/readyz");
  CHECK(late.status == 503);
  CHECK(parse_json(*late.body).at("reasons").at(0).get<std::string>().find("CRL") !=
        std::string::npos);
}

TEST_CASE("every POST is answered with a nonce, whatever becomes of it") {
  TestServer server;
  AcmeClient client = registered(server);
  for (const std::string body : {"", "{}", "[]", "\xff", "{\"payload\":1}"}) {
    CAPTURE(body);
    const Reply reply = client.call("POST", client.kid, body);
    CHECK(reply.status == 400);
    CHECK(reply.problem() == "malformed");
    CHECK_FALSE(reply.header("Replay-Nonce").empty());
  }
}

}  // namespace
}  // namespace gatehouse::testing
