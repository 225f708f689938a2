// Accounts as a client meets them: RFC 8555 section 7.3, over the whole server.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

TEST_CASE("newAccount creates once and finds afterwards") {
  TestServer server;
  AcmeClient client = client_of(server);
  const Reply created = client.new_account({{"contact", {"mailto:ops@corp.example"}}});
  CHECK(created.status == 201);
  CHECK(created.json().at("status") == "valid");
  CHECK(created.json().at("contact").at(0) == "mailto:ops@corp.example");
  const std::string url = created.header("Location");
  CHECK(url.starts_with("https://acme.test/acme/default/account/"));
  CHECK_FALSE(created.header("Replay-Nonce").empty());

  const Reply found = client.new_account({{"contact", {"mailto:other@corp.example"}}});
  CHECK(found.status == 200);
  CHECK(found.header("Location") == url);
  CHECK(found.json().at("contact").at(0) == "mailto:ops@corp.example");

  const Reply asked = client.new_account({{"onlyReturnExisting", true}});
  CHECK(asked.status == 200);
  CHECK(asked.header("Location") == url);
}

TEST_CASE("onlyReturnExisting creates nothing") {
  TestServer server;
  AcmeClient client = client_of(server);
  const Reply reply = client.new_account({{"onlyReturnExisting", true}});
  CHECK(reply.status == 400);
  CHECK(reply.problem() == "accountDoesNotExist");
  CHECK(client.new_account().status == 201);
}

TEST_CASE("an account lives through a restart of the server") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  server.restart();
  CHECK(client.read(client.kid).json().at("status") == "valid");
  CHECK(client.get(order).status() == "pending");
}

TEST_CASE("contacts that are no e-mail address are refused") {
  struct Row {
    std::string contact, problem;
  };

  const Row rows[] = {
      {"tel:+123", "unsupportedContact"},
      {"mailto:", "invalidContact"},
      {"mailto:a@b.test,c@d.test", "invalidContact"},
      {"mailto:a@b.test?subject=x", "invalidContact"},
      {"nonsense", "invalidContact"},
  };
  TestServer server;
  AcmeClient client = client_of(server);
  for (const Row& row : rows) {
    CAPTURE(row.contact);
    const Reply reply = client.new_account({{"contact", std::vector<std::string>{row.contact}}});
    CHECK(reply.status == 400);
    CHECK(reply.problem() == row.problem);
  }
}

TEST_CASE("terms of service must be agreed to when there are some") {
  TestServer server({.config = {{"terms_of_service", "https://acme.test/terms/1"}}});
  AcmeClient client = client_of(server);
  CHECK(client.get("/directory").json().at("meta").at("termsOfService") ==
        "https://acme.test/terms/1");
  const Reply refused = client.new_account(Json::object());
  CHECK(refused.status == 403);
  CHECK(refused.problem() == "userActionRequired");
  CHECK(refused.links("terms-of-service") == std::vector<std::string>{"https://acme.test/terms/1"});
  const Reply agreed = client.new_account({{"termsOfServiceAgreed", true}});
  CHECK(agreed.status == 201);
  CHECK(agreed.json().at("termsOfServiceAgreed") == true);
}

TEST_CASE("an update replaces the contacts and nothing else") {
  TestServer server;
  AcmeClient client = registered(server);
  const Reply updated = client.post(client.kid, {{"contact", {"mailto:new@corp.example"}},
                                                 {"status", "revoked"},
                                                 {"orders", "https://elsewhere.test/orders"}});
  CHECK(updated.status == 200);
  CHECK(updated.json().at("contact") == Json::array({"mailto:new@corp.example"}));
  CHECK(updated.json().at("status") == "valid");
  const std::string orders = updated.json().at("orders").get<std::string>();
  CHECK(orders.starts_with(client.kid));
  CHECK_FALSE(client.post(client.kid, {{"contact", Json::array()}}).json().contains("contact"));
}

TEST_CASE("a deactivated account can do nothing any more") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"a.test"});
  const Reply gone = client.post(client.kid, {{"status", "deactivated"}});
  CHECK(gone.status == 200);
  CHECK(gone.json().at("status") == "deactivated");
  const std::vector<std::string> urls = {client.kid, order.url, client.url_of("newOrder")};
  for (const std::string& url : urls) {
    CAPTURE(url);
    const Reply reply = client.read(url);
    CHECK(reply.status == 401);
    CHECK(reply.problem() == "unauthorized");
  }
  // RFC 8555 section 7.3.1 finds it by its key, and says no more than that.
  const Reply again = client.new_account();
  CHECK(again.status == 401);
  CHECK(again.problem() == "unauthorized");
}

TEST_CASE("the list of orders goes by pages, oldest first") {
  TestServer server;
  AcmeClient client = registered(server);
  std::vector<std::string> made;
  for (int i = 0; i < 120; ++i) {
    made.push_back(client.new_order({"n" + std::to_string(i) + ".test"}).url);
    server.advance(std::chrono::seconds(1));
  }
  std::string page = client.read(client.kid).json().at("orders").get<std::string>();
  std::vector<std::string> listed;
  std::size_t pages = 0;
  while (!page.empty()) {
    const Reply reply = client.read(page);
    REQUIRE(reply.status == 200);
    const Json shown = reply.json();
    for (const Json& url : shown.at("orders")) listed.push_back(url.get<std::string>());
    const auto next = reply.links("next");
    page = next.empty() ? "" : next.front();
    ++pages;
    REQUIRE(pages < 100);
  }
  CHECK(pages > 1);
  CHECK(listed == made);
}

TEST_CASE("what belongs to another account is not shown") {
  TestServer server;
  AcmeClient owner = registered(server);
  AcmeClient other = registered(server);
  const ClientOrder order = issued_order(server, owner, {"a.test"});
  const std::string authorization = order.json.at("authorizations").at(0).get<std::string>();
  const Json shown = owner.read(authorization).json();
  const std::vector<std::string> urls = {
      owner.kid,
      owner.kid + "/orders",
      order.url,
      order.finalize(),
      authorization,
      shown.at("challenges").at(0).at("url").get<std::string>(),
      order.json.at("certificate").get<std::string>(),
  };
  for (const std::string& url : urls) {
    CAPTURE(url);
    const Reply reply = url == order.finalize() ? other.finalize(order) : other.read(url);
    CHECK((reply.status == 403 || reply.status == 404));
    CHECK_FALSE(reply.problem().empty());
    CHECK(reply.body.find("a.test\"") == std::string::npos);
  }
  CHECK(other.post(authorization, {{"status", "deactivated"}}).status == 404);
  CHECK(owner.read(authorization).json().at("status") == "valid");
}

// The inner JWS of section 7.3.5.
std::string key_change(AcmeClient& client, const TestKey& new_key, const TestKey& old_key,
                       const std::string& account) {
  const Json header = {{"jwk", new_key.jwk()}, {"url", client.url_of("keyChange")}};
  const Json payload = {{"account", account}, {"oldKey", old_key.jwk()}};
  return sign_jws(new_key, header, payload.dump());
}

TEST_CASE("keyChange hands the account to the new key") {
  TestServer server;
  AcmeClient client = registered(server);
  const TestKey old_key = client.key;
  const TestKey new_key = TestKey::generate(TestKey::Kind::p384);
  const std::string url = client.url_of("keyChange");
  const Reply changed = client.post_text(url, key_change(client, new_key, old_key, client.kid));
  CHECK(changed.status == 200);
  // The old key signs nothing any more, the new one does.
  CHECK(client.read(client.kid).problem() == "malformed");
  client.key = new_key;
  CHECK(client.read(client.kid).status == 200);
}

TEST_CASE("keyChange to a key that another account has is a conflict") {
  TestServer server;
  AcmeClient client = registered(server);
  AcmeClient other = registered(server);
  const Reply reply = client.post_text(client.url_of("keyChange"),
                                       key_change(client, other.key, client.key, client.kid));
  CHECK(reply.status == 409);
  CHECK(reply.header("Location") == other.kid);
  CHECK(client.read(client.kid).status == 200);
}

TEST_CASE("keyChange refuses what its inner JWS does not prove") {
  TestServer server;
  AcmeClient client = registered(server);
  AcmeClient other = registered(server);
  const TestKey new_key = TestKey::generate(TestKey::Kind::p256);
  const std::string url = client.url_of("keyChange");
  const std::vector<std::string> bad = {
      key_change(client, new_key, other.key, client.kid),  // not the account's key
      key_change(client, new_key, client.key, other.kid),  // another account
      sign_jws(client.key, {{"jwk", new_key.jwk()}, {"url", url}},
               Json{{"account", client.kid}, {"oldKey", client.key.jwk()}}.dump()),  // not its key
      sign_jws(new_key, {{"jwk", new_key.jwk()}, {"url", url + "x"}},
               Json{{"account", client.kid}, {"oldKey", client.key.jwk()}}.dump()),  // another URL
      Json::object().dump(),
  };
  for (const std::string& inner : bad) {
    CAPTURE(inner);
    const Reply reply = client.post_text(url, inner);
    CHECK(reply.status >= 400);
    CHECK(reply.status < 500);
    CHECK_FALSE(reply.problem().empty());
  }
  CHECK(client.read(client.kid).status == 200);
}

}  // namespace
}  // namespace gatehouse::testing
