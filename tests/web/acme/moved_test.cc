// After a move to another base URL: what was given out under the old one is still ours.
#include <doctest/doctest.h>

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

const std::string kOldOrigin = "https://old.test";
const std::string kOldAccounts = kOldOrigin + "/acme/default/account/";

struct Fixture {
  Fixture() {
    service::Directory directory = TestServices::default_directory();
    directory.previous_account_urls = {kOldAccounts};
    web.services.use(directory);
    WebOptions options = testing::test_web_options();
    options.allowed_hosts = {"old.test", "third.test"};
    web.handler.replace_hosts(options);
    client.new_account();
    id = client.kid.substr(client.kid.rfind('/') + 1);
  }

  // A request with these `kid` and `url` in its JWS, that came with `host`.
  http::Response post(const std::string& kid, const std::string& origin, const char* host,
                      const std::string& target = "/acme/default/new-order") {
    Json header = client.header_with_kid(origin + target);
    header["kid"] = kid;
    const Json payload = {
        {"identifiers", Json::array({Json{{"type", "dns"}, {"value", "a.test"}}})}};
    return web.send("POST", target,
                    testing::sign_flattened(client.key, print_json(header), print_json(payload)),
                    {{.name = "Host", .value = host},
                     {.name = "Content-Type", .value = "application/jose+json"}});
  }

  TestWeb web;
  Client client{web};
  std::string id;
};

TEST_CASE("an account is known by the URLs that it had") {
  Fixture f;
  const http::Response order = f.post(kOldAccounts + f.id, "https://acme.test", "acme.test");
  CHECK(order.status == 201);
  // What is handed out is of today.
  CHECK(header_of(order, "Location").starts_with("https://acme.test/"));
  for (const std::string& kid :
       {kOldAccounts, kOldAccounts + f.id + "/", kOldAccounts + f.id + "/orders",
        kOldOrigin + "/acme/staging/account/" + f.id,
        "http://old.test/acme/default/account/" + f.id,
        "https://OLD.test/acme/default/account/" + f.id}) {
    CAPTURE(kid);
    CHECK(problem_of(f.post(kid, "https://acme.test", "acme.test")).detail.find("kid") !=
          std::string::npos);
  }
  CHECK(problem_of(f.post(kOldAccounts + "nobody", "https://acme.test", "acme.test")).type ==
        ProblemType::accountDoesNotExist);
}

TEST_CASE("an earlier URL names accounts of its own directory alone") {
  Fixture f;
  Client other(f.web, "staging");
  other.new_account();
  const std::string id = other.kid.substr(other.kid.rfind('/') + 1);
  CHECK(problem_of(f.post(kOldAccounts + id, "https://acme.test", "acme.test")).type ==
        ProblemType::accountDoesNotExist);
}

TEST_CASE("an earlier url is taken only from who came under the earlier Host") {
  struct Row {
    const char* what;
    std::string origin;
    const char* host;
    int status;
  };

  const Row rows[] = {
      {"as before the move", kOldOrigin, "old.test", 201},
      {"in another case", kOldOrigin, "OLD.test", 201},
      {"relayed by the old name's next owner", kOldOrigin, "acme.test", 401},
      {"relayed under a third name", kOldOrigin, "third.test", 401},
      {"for a name that was never ours", "https://third.test", "third.test", 401},
      {"another scheme", "http://old.test", "old.test", 401},
      {"another port", "https://old.test:444", "old.test", 401},
      {"the new url under the old Host", "https://acme.test", "old.test", 201},
  };
  Fixture f;
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const http::Response response = f.post(f.client.kid, row.origin, row.host);
    CHECK(response.status == (row.status == 401 ? 403 : row.status));
    if (row.status == 401) CHECK(problem_of(response).type == ProblemType::unauthorized);
  }
  // Given up: the name is no longer in allowed_hosts, so that nothing under it is answered.
  f.web.handler.replace_hosts(testing::test_web_options());
  CHECK(f.post(f.client.kid, kOldOrigin, "old.test").status == 421);
  CHECK(f.post(kOldAccounts + f.id, "https://acme.test", "acme.test").status == 201);
}

TEST_CASE("an earlier url must be that of the request all the same") {
  Fixture f;
  Json header = f.client.header_with_kid(kOldOrigin + "/acme/default/revoke-cert");
  const http::Response response =
      f.web.send("POST", "/acme/default/new-order",
                 testing::sign_flattened(f.client.key, print_json(header), "{}"),
                 {{.name = "Host", .value = "old.test"},
                  {.name = "Content-Type", .value = "application/jose+json"}});
  CHECK(problem_of(response).type == ProblemType::unauthorized);
}

TEST_CASE("keyChange takes any URL of the account") {
  for (const bool former : {true, false}) {
    Fixture f;
    const TestKey next;
    const std::string to = TestWeb::url("/key-change");
    const Json inner_header = {{"alg", "ES256"}, {"jwk", testing::jwk_json(next)}, {"url", to}};
    const Json claim = {{"account", (former ? kOldAccounts : "https://x.test/") + f.id},
                        {"oldKey", testing::jwk_json(f.client.key)}};
    const std::string inner =
        testing::sign_flattened(next, print_json(inner_header), print_json(claim));
    CHECK(f.client.post(to, std::string_view(inner)).status == (former ? 200 : 400));
  }
}

}  // namespace
}  // namespace gatehouse::web
