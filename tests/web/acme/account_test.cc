#include <doctest/doctest.h>

#include <string>
#include <vector>

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

TEST_CASE("a new account is answered with its URL and what was taken of the request") {
  TestWeb web;
  Client client(web);
  const http::Response response = client.new_account({{"contact", {"mailto:a@example.test"}},
                                                      {"termsOfServiceAgreed", true},
                                                      {"status", "revoked"},
                                                      {"id", 7},
                                                      {"orders", "https://evil.test"},
                                                      {"onlyReturnExisting", false},
                                                      {"externalAccountBinding", {{"x", 1}}},
                                                      {"unheard", "of"}});
  CHECK(response.status == 201);
  CHECK(client.kid.starts_with(TestWeb::url("/account/")));
  const Json account = json_of(response);
  CHECK(account["status"] == "valid");
  CHECK(account["contact"] == Json::array({"mailto:a@example.test"}));
  CHECK(account["orders"] == client.kid + "/orders");
  for (const char* field :
       {"id", "onlyReturnExisting", "externalAccountBinding", "unheard", "key"}) {
    CHECK_FALSE(account.contains(field));
  }
  CHECK(json_of(client.get(client.kid)) == account);
}

TEST_CASE("an account that exists is returned as it is") {
  TestWeb web;
  Client client(web);
  const Json first = json_of(client.new_account({{"contact", {"mailto:a@example.test"}}}));
  const std::string kid = client.kid;
  const http::Response again = client.new_account({{"contact", {"mailto:b@example.test"}}});
  CHECK(again.status == 200);
  CHECK(client.kid == kid);
  CHECK(json_of(again) == first);
  CHECK(client.new_account({{"onlyReturnExisting", true}}).status == 200);

  Client stranger(web);
  const http::Response none = stranger.new_account({{"onlyReturnExisting", true}});
  CHECK(none.status == 400);
  CHECK(problem_of(none).type == ProblemType::accountDoesNotExist);
}

TEST_CASE("terms are agreed to with the word true and nothing like it") {
  TestWeb web;
  service::Directory directory = TestServices::default_directory();
  directory.terms_of_service = "https://acme.test/terms";
  web.services.use(directory);
  Client client(web);
  for (const Json& payload : {Json::object(), Json{{"termsOfServiceAgreed", false}}}) {
    const http::Response response = client.new_account(payload);
    CHECK(response.status == 403);
    CHECK(problem_of(response).type == ProblemType::userActionRequired);
    CHECK(link_of(response, "terms-of-service") == "https://acme.test/terms");
  }
  CHECK(problem_of(client.new_account({{"termsOfServiceAgreed", "true"}})).type ==
        ProblemType::malformed);
  const http::Response agreed = client.new_account({{"termsOfServiceAgreed", true}});
  CHECK(agreed.status == 201);
  CHECK(json_of(agreed)["termsOfServiceAgreed"] == true);
}

TEST_CASE("when the terms change, orders wait until the account agrees to the new ones") {
  TestWeb web;
  const auto set_terms = [&](const std::string& url) {
    service::Directory directory = TestServices::default_directory();
    directory.terms_of_service = url;
    web.services.use(directory);
  };
  set_terms("https://acme.test/terms/1");
  Client client(web);
  client.new_account({{"termsOfServiceAgreed", true}});
  CHECK(client.new_order({"a.test"}).status == 201);
  set_terms("https://acme.test/terms/2");
  for (const Json& ignored : {Json(false), Json("true"), Json(1), Json(nullptr)}) {
    CHECK(client.post(client.kid, Json{{"termsOfServiceAgreed", ignored}}).status == 200);
    const http::Response response = client.new_order({"a.test"});
    CHECK(response.status == 403);
    CHECK(problem_of(response).type == ProblemType::userActionRequired);
    CHECK(problem_of(response).instance == "https://acme.test/terms/2");
    CHECK(link_of(response, "terms-of-service") == "https://acme.test/terms/2");
  }
  CHECK(client.post(client.kid, Json{{"termsOfServiceAgreed", true}}).status == 200);
  CHECK(client.new_order({"a.test"}).status == 201);
}

TEST_CASE("contacts are what RFC 8555 says or are refused") {
  TestWeb web;
  Client client(web);

  struct Row {
    Json contact;
    ProblemType type;
  };
  using enum ProblemType;
  for (const Row& row :
       {Row{{"tel:+1"}, unsupportedContact}, Row{{"mailto:a@b.test?subject=x"}, invalidContact},
        Row{{"mailto:"}, invalidContact}, Row{"mailto:a@b.test", malformed},
        Row{Json::array({1}), malformed}, Row{Json::object(), malformed}}) {
    CAPTURE(print_json(row.contact));
    Json payload;
    payload["contact"] =
        row.contact.is_string() || row.contact.is_array() || row.contact.is_object()
            ? row.contact
            : Json::array();
    const http::Response response = client.new_account(payload);
    CHECK(response.status == 400);
    CHECK(problem_of(response).type == row.type);
  }
  CHECK(client.new_account({{"onlyReturnExisting", true}}).status == 400);  // none was made
}

TEST_CASE("an update changes contacts and ignores what it must") {
  TestWeb web;
  Client client(web);
  client.new_account({{"contact", {"mailto:a@example.test"}}});
  const http::Response changed =
      client.post(client.kid, Json{{"contact", {"mailto:b@example.test"}},
                                   {"termsOfServiceAgreed", true},
                                   {"orders", "https://evil.test"},
                                   {"status", "revoked"},
                                   {"unheard", 1}});
  CHECK(changed.status == 200);
  const Json account = json_of(changed);
  CHECK(account["contact"] == Json::array({"mailto:b@example.test"}));
  CHECK(account["status"] == "valid");
  CHECK_FALSE(account.contains("termsOfServiceAgreed"));
  CHECK(json_of(client.post(client.kid, Json::object())) == account);
  CHECK_FALSE(
      json_of(client.post(client.kid, Json{{"contact", Json::array()}})).contains("contact"));
}

TEST_CASE("an account is nobody else's to see or change") {
  TestWeb web;
  Client client(web);
  Client other(web);
  client.new_account();
  other.new_account();
  for (const http::Response& response :
       {other.get(client.kid), other.post(client.kid, Json{{"status", "deactivated"}}),
        other.get(client.kid + "/orders"), other.get(client.kid + "/orders/x"),
        other.get(TestWeb::url("/account/nobody"))}) {
    CHECK(response.status == 403);
    CHECK(problem_of(response).type == ProblemType::unauthorized);
  }
  CHECK(client.get(client.kid).status == 200);
}

TEST_CASE("the list of orders is complete page by page") {
  TestWeb web;
  Client client(web);
  client.new_account();
  CHECK(json_of(client.get(client.kid + "/orders"))["orders"].empty());
  std::vector<std::string> made;
  for (int i = 0; i < 120; ++i) {
    web.services.advance(std::chrono::seconds(1));
    made.push_back(header_of(client.new_order({"a" + std::to_string(i) + ".test"}), "Location"));
  }
  std::vector<std::string> listed;
  int pages = 0;
  for (std::string url = client.kid + "/orders"; !url.empty(); ++pages) {
    REQUIRE(pages < 20);
    const http::Response page = client.get(url);
    const Json body = json_of(page);
    for (const Json& order : body["orders"]) {
      listed.push_back(order.get<std::string>());
    }
    url = link_of(page, "next");
  }
  CHECK(pages > 1);
  CHECK(listed == made);
}

}  // namespace
}  // namespace gatehouse::web
