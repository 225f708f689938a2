#include "acme-server/web/links.h"

#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/check.h"

namespace gatehouse::web {
namespace {

const DirectoryId kDefault("default");
const DirectoryId kStaging("staging");

Links links_with(const std::string& path = "/acme") {
  WebOptions options;
  options.base_url = "https://acme.test:14000";
  options.path = path;
  return Links(options);
}

TEST_CASE("URLs stand under base URL, path and directory") {
  const Links links = links_with();
  CHECK(links.directory(kDefault) == "https://acme.test:14000/acme/default/directory");
  CHECK(links.new_order(kStaging) == "https://acme.test:14000/acme/staging/new-order");
  CHECK(links.account(kDefault, AccountId("a")) ==
        "https://acme.test:14000/acme/default/account/a");
  CHECK(links.orders(kDefault, AccountId("a"), OrderId("o")) ==
        "https://acme.test:14000/acme/default/account/a/orders/o");
  CHECK(links.finalize(kDefault, OrderId("o")) ==
        "https://acme.test:14000/acme/default/order/o/finalize");
  CHECK(links.alternate(kDefault, CertificateId("c"), 2) ==
        "https://acme.test:14000/acme/default/certificate/c/alternate/2");
  CHECK(links_with("").new_nonce(kDefault) == "https://acme.test:14000/default/new-nonce");
}

TEST_CASE("an account is known by the URL it was given and by no other") {
  const Links links = links_with();
  CHECK(links.account_of(kDefault, "https://acme.test:14000/acme/default/account/aZ0-_") ==
        AccountId("aZ0-_"));
  for (const char* url : {
           "",
           "a",
           "/acme/default/account/a",
           "http://acme.test:14000/acme/default/account/a",
           "https://acme.test/acme/default/account/a",
           "https://ACME.test:14000/acme/default/account/a",
           "https://acme.test:14000/acme/staging/account/a",
           "https://acme.test:14000/acme/default/account/",
           "https://acme.test:14000/acme/default/account/a/",
           "https://acme.test:14000/acme/default/account/a?x",
           "https://acme.test:14000/acme/default/account/a#x",
           "https://acme.test:14000/acme/default/account/%61",
           "https://acme.test:14000/acme/default/account/a/orders",
           "https://acme.test:14000/acme/default/order/a",
           "https://evil.test/https://acme.test:14000/acme/default/account/a",
       }) {
    INFO(std::string(url));
    CHECK_FALSE(links.account_of(kDefault, url));
  }
}

TEST_CASE("a target belongs to the directory that it names") {
  const Links links = links_with();
  CHECK(links.place_of("/acme/staging/new-order")->directory == kStaging);
  CHECK(links.place_of("/acme/staging/new-order")->path == "/new-order");
  // Whether there is one of that name is for the rules in force to say.
  CHECK(links.place_of("/acme/defaults/new-order")->directory == DirectoryId("defaults"));
  CHECK(links.place_of("/directory")->directory == kDefault);
  CHECK(links.place_of("/directory")->path == "/directory");
  for (const char* target :
       {"", "/", "/acme", "/acme/", "/acme/default", "/acme//new-order", "/acme/a.b/new-order",
        "/acme/%61/new-order", "//acme/default/new-order", "/ACME/default/new-order", "/new-order",
        "/directory/", "*"}) {
    INFO(std::string(target));
    CHECK_FALSE(links.place_of(target));
  }
}

TEST_CASE("what a target is called in a JWS is made of the base URL") {
  CHECK(links_with().of_target("/acme/default/new-order") == links_with().new_order(kDefault));
}

TEST_CASE("a directory has a name that a URL can carry") {
  for (const char* name : {"a/b", ""}) {
    WebOptions options;
    options.default_directory = name;
    CHECK_THROWS_AS(Links{options}, LogicError);
  }
}

}  // namespace
}  // namespace gatehouse::web
