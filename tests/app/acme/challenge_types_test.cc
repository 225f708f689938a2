// Which challenges a name is offered, and a wildcard from order to certificate.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/crypto/digest.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

using Texts = std::vector<std::string>;

Json authorization_of(AcmeClient& client, const ClientOrder& order) {
  return client.read(order.json.at("authorizations").at(0).get<std::string>()).json();
}

TEST_CASE("a name is offered what can prove it: RFC 8555, RFC 8737, RFC 8738") {
  TestServer server({.real_validators = true});
  AcmeClient client = registered(server);

  const struct {
    std::string name;
    Texts types;
  } rows[] = {
      {"a.test", {"http-01", "dns-01", "tls-alpn-01"}},
      {"*.a.test", {"dns-01"}},
      {"10.0.0.1", {"http-01", "tls-alpn-01"}},
      {"fd00::1", {"http-01", "tls-alpn-01"}},
  };

  for (const auto& row : rows) {
    CAPTURE(row.name);
    const Json authorization = authorization_of(client, client.new_order({row.name}));
    Texts types;
    for (const Json& challenge : authorization.at("challenges"))
      types.push_back(challenge.at("type").get<std::string>());
    CHECK(types == row.types);
  }
}

TEST_CASE("a wildcard is proven by the TXT record of its base name, and by nothing else") {
  TestServer server({.real_validators = true});
  AcmeClient client = registered(server);
  const ClientOrder order = client.new_order({"*.a.test"});
  const std::string token =
      authorization_of(client, order).at("challenges").at(0).at("token").get<std::string>();
  const std::string record =
      base64url_encode(crypto::sha256(token + "." + client.key.thumbprint()));
  server.resolver.add_alias("_acme-challenge.a.test", "a.validation.test");
  server.resolver.add_text("a.validation.test", "something else");
  server.resolver.add_text("a.validation.test", record);
  client.respond(order);
  server.run_jobs();
  REQUIRE(client.get(order).status() == "ready");
  CHECK(server.resolver.questions().front() == "_acme-challenge.a.test TXT");
  CHECK(server.dialer.dialled().empty());
  CHECK(client.finalize(order).status == 200);
  server.run_jobs();
  CHECK(client.get(order).status() == "valid");
}

TEST_CASE("a site owner reads in the challenge what is wrong with the TXT record") {
  TestServer server({.real_validators = true});
  AcmeClient client = registered(server);
  server.resolver.add_text("_acme-challenge.a.test", "of an earlier order");
  const ClientOrder order = client.new_order({"*.a.test"});
  client.respond(order);
  for (int i = 0; i < 10; ++i) {
    server.run_jobs();
    server.advance(std::chrono::seconds(10));
  }
  const Json error = authorization_of(client, order).at("challenges").at(0).at("error");
  CHECK(error.at("type") == "urn:ietf:params:acme:error:unauthorized");
  CHECK(error.at("detail").get<std::string>().find(
            "_acme-challenge.a.test has the TXT record \"of an earlier order\", but \"") !=
        std::string::npos);
}

}  // namespace
}  // namespace gatehouse::testing
