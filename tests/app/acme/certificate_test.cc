// Certificates as a client meets them: finalize, download, revoke; RFC 8555 sections 7.4 and 7.6.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "acme-server/crypto/crl.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

std::vector<crypto::Certificate> chain_of(const Reply& reply) {
  REQUIRE(reply.status == 200);
  return crypto::parse_pem_chain(reply.body).value();
}

// The serials on the CRL that the certificate points to, as the public listener serves it.
std::vector<crypto::CrlEntry> revoked_on_crl(TestServer& server,
                                             const std::vector<crypto::Certificate>& chain) {
  const std::string url = chain.at(0).crl_urls.at(0);
  constexpr std::string_view kPublic = "http://pki.test";
  REQUIRE(url.starts_with(kPublic));
  const http::Response response = server.get("public", url.substr(kPublic.size()));
  REQUIRE(response.status == 200);
  CHECK(crypto::crl_is_signed_by(as_bytes(*response.body), chain.at(1)));
  return crypto::parse_crl(as_bytes(*response.body)).value().entries;
}

TEST_CASE("the certificate has the order's names and the CSR's key, and leads to the root") {
  TestServer server;
  AcmeClient client = registered(server);
  const TestKey key = TestKey::generate(TestKey::Kind::p256);
  const ClientOrder order = issued_order(server, client, {"a.test", "b.test", "10.0.0.1"}, key);
  const Reply reply = client.download(order);
  CHECK(reply.header("Content-Type") == "application/pem-certificate-chain");
  const auto chain = chain_of(reply);
  REQUIRE(chain.size() == 2);
  CHECK(chain[0].spki == key.spki());
  CHECK(std::set(chain[0].dns_names.begin(), chain[0].dns_names.end()) ==
        std::set<std::string>{"a.test", "b.test"});
  CHECK(chain[0].ip_addresses == std::vector<std::string>{"10.0.0.1"});
  CHECK(crypto::why_chain_fails(chain, server.folder.root(), server.clock.now()) == std::nullopt);
  CHECK(reply.links("index") ==
        std::vector<std::string>{"https://acme.test/acme/default/directory"});
}

TEST_CASE("alternate chains are linked and end elsewhere") {
  ManualClock clock;
  // The same issuing key under a second root.
  TestServer plain;
  AcmeClient first = registered(plain);
  CHECK(first.download(issued_order(plain, first, {"a.test"})).links("alternate").empty());

  TestServer server({.config = parse_json(R"({"backends": {"local": {"type": "local",
      "certificate": "ca/issuer.pem", "key": "ca/issuer.key", "root": "ca/root.pem",
      "alternates": ["ca/alternate.pem"]}}})"),
                     .alternate_root = true});
  AcmeClient client = registered(server);
  const Reply reply = client.download(issued_order(server, client, {"a.test"}));
  const auto alternates = reply.links("alternate");
  REQUIRE(alternates.size() == 1);
  const auto chain = chain_of(client.read(alternates.front()));
  CHECK(chain.at(0) == chain_of(reply).at(0));
  CHECK(chain.at(1) != chain_of(reply).at(1));
  CHECK(client.read(alternates.front() + "7").status == 404);
}

TEST_CASE("a bad CSR is told why and leaves the order ready") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = ready_order(server, client, {"a.test"});
  const TestKey key = TestKey::generate(TestKey::Kind::p256);
  const std::vector<std::string> bad = {
      AcmeClient::csr_for(key, {"b.test"}),
      AcmeClient::csr_for(key, {"a.test", "b.test"}),
      AcmeClient::csr_for(key, {"a.test", "10.0.0.1"}),
      AcmeClient::csr_for(client.key, {"a.test"}),  // an account's key
      base64url_encode(as_bytes("not a CSR")),
  };
  for (const std::string& csr : bad) {
    const Reply reply = client.post(order.finalize(), {{"csr", csr}});
    CHECK(reply.status == 400);
    CHECK(reply.problem() == "badCSR");
    CHECK_FALSE(reply.detail().empty());
    CHECK(client.get(order).status() == "ready");
  }
  CHECK(client.finalize(order, key).status == 200);
}

TEST_CASE("an order that is not ready cannot be finalized, nor twice") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder pending = client.new_order({"a.test"});
  const Reply early = client.finalize(pending);
  CHECK(early.status == 403);
  CHECK(early.problem() == "orderNotReady");
  const ClientOrder issued = issued_order(server, client, {"b.test"});
  CHECK(issued.status() == "valid");
  const Reply again = client.finalize(issued);
  CHECK(again.status == 403);
  CHECK(again.problem() == "orderNotReady");
}

TEST_CASE("an account deactivated after finalize gets no certificate") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = ready_order(server, client, {"a.test"});
  server.lane.set_places(0);  // so that the job begins later, and its intent is not marked yet
  REQUIRE(client.finalize(order).status == 200);
  server.lane.set_places(SteppedExecutor::kPlaces);
  REQUIRE(client.post(client.kid, {{"status", "deactivated"}}).status == 200);
  server.run_jobs();
  const auto certificates =
      server->store().read([](store::Tx& tx) { return tx.certificates().list(std::nullopt, 10); });
  CHECK(certificates.empty());
}

TEST_CASE("the account that ordered a certificate revokes it, and the CRL says so") {
  TestServer server;
  AcmeClient client = registered(server);
  const auto chain = chain_of(client.download(issued_order(server, client, {"a.test"})));
  CHECK(revoked_on_crl(server, chain).empty());
  CHECK(client.revoke(chain[0].der, 4).status == 200);
  server.run_jobs();
  const auto entries = revoked_on_crl(server, chain);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].serial == chain[0].serial);
  CHECK(entries[0].reason == 4);
  const Reply again = client.revoke(chain[0].der, 4);
  CHECK(again.status == 400);
  CHECK(again.problem() == "alreadyRevoked");
}

TEST_CASE("an account with valid authorizations for every name may revoke, one without may not") {
  TestServer server;
  AcmeClient owner = registered(server);
  AcmeClient other = registered(server);
  const auto chain = chain_of(owner.download(issued_order(server, owner, {"a.test", "b.test"})));
  CHECK(other.revoke(chain[0].der).status == 403);
  ready_order(server, other, {"a.test"});
  const Reply half = other.revoke(chain[0].der);
  CHECK(half.status == 403);
  CHECK(half.problem() == "unauthorized");
  ready_order(server, other, {"b.test"});
  CHECK(other.revoke(chain[0].der).status == 200);
  server.run_jobs();
  CHECK(revoked_on_crl(server, chain).size() == 1);
}

TEST_CASE("the certificate's own key revokes it, another key does not") {
  TestServer server;
  AcmeClient owner = registered(server);
  const TestKey key = TestKey::generate(TestKey::Kind::p256);
  const auto chain = chain_of(owner.download(issued_order(server, owner, {"a.test"}, key)));
  AcmeClient anyone = client_of(server);
  const std::string url = anyone.url_of("revokeCert");
  const Json payload = {{"certificate", base64url_encode(chain[0].der)}, {"reason", 1}};
  const Reply stranger = anyone.post_by_key(TestKey::generate(TestKey::Kind::p256), url, payload);
  CHECK(stranger.status == 403);
  CHECK(stranger.problem() == "unauthorized");
  CHECK(anyone.post_by_key(key, url, payload).status == 200);
  server.run_jobs();
  const auto entries = revoked_on_crl(server, chain);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].reason == 1);
  // keyCompromise: the key gets no certificate any more.
  const ClientOrder order = ready_order(server, owner, {"b.test"});
  CHECK(owner.finalize(order, key).problem() == "badCSR");
}

TEST_CASE("revocation refuses other reasons and other people's certificates") {
  TestServer server;
  AcmeClient client = registered(server);
  const auto chain = chain_of(client.download(issued_order(server, client, {"a.test"})));
  for (const int reason : {2, 6, 7, 8, 10, 11, -1}) {
    CAPTURE(reason);
    const Reply reply = client.revoke(chain[0].der, reason);
    CHECK(reply.status == 400);
    CHECK(reply.problem() == "badRevocationReason");
  }
  CHECK(client.revoke(chain[1].der).status >= 400);  // the issuer's
  Bytes changed = chain[0].der;
  changed.back() ^= 1;
  CHECK(client.revoke(changed).status >= 400);
  server.run_jobs();
  CHECK(revoked_on_crl(server, chain).empty());
}

TEST_CASE("the public listener has what certificates point to, and nothing of ACME") {
  TestServer server;
  AcmeClient client = registered(server);
  const auto chain = chain_of(client.download(issued_order(server, client, {"a.test"})));
  constexpr std::size_t kPublic = std::string_view("http://pki.test").size();
  const std::string issuer = chain[0].issuer_urls.at(0).substr(kPublic);
  const http::Response served = server.get("public", issuer);
  CHECK(served.status == 200);
  CHECK(Bytes(served.body->begin(), served.body->end()) == chain[1].der);
  const http::Response root = server.get("public", "/root.pem");
  CHECK(crypto::parse_pem_chain(*root.body).value().at(0) == server.folder.root());
  for (const char* target : {"/directory", "/acme/default/directory", "/acme/default/new-nonce",
                             "/metrics", "/healthz"}) {
    CAPTURE(target);
    CHECK(server.get("public", target).status == 404);
  }
  for (const std::string& target : {issuer, std::string("/root.pem"), std::string("/metrics")}) {
    CAPTURE(target);
    CHECK(server.get("acme", target).status == 404);
  }
}

}  // namespace
}  // namespace gatehouse::testing
