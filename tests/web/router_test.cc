#include "acme-server/web/router.h"

#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/check.h"
#include "acme-server/web/acme/routes.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::TestServices;

struct Fixture {
  TestServices services;
  Api api{testing::test_web_options(), services.context()};
  RequestAuth auth{api};
  Router router = acme_routes(api, auth);
};

TEST_CASE("a path that is not exactly one of ours is nobody's") {
  const Fixture f;
  for (const char* path : {
           "",
           "/",
           "new-order",
           "/new-order/",
           "//new-order",
           "/./new-order",
           "/../new-order",
           "/New-Order",
           "/new%2dorder",
           "/new-order?x=1",
           "/new-order;x",
           "/new-order#x",
           "/new-orders",
           "/order",
           "/order/",
           "/order//finalize",
           "/order/a%2fb",
           "/order/a b",
           "/order/..",
           "/order/a.b",
           "/order/a/finalize/",
           "/order/a/cancel",
           "/certificate/a/alternate/",
           "/directory/",
       }) {
    INFO(std::string(path));
    for (const char* method : {"GET", "POST", "OPTIONS"}) {
      CHECK(f.router.match(method, path).route == Router::kNoRoute);
    }
  }
  CHECK(f.router.match("POST", "/order/" + std::string(65, 'a')).route == Router::kNoRoute);
}

TEST_CASE("names in a pattern take whole segments") {
  const Fixture f;
  const Router::Match match = f.router.match("POST", "/certificate/aZ0-_/alternate/1");
  REQUIRE(match.endpoint != nullptr);
  CHECK(match.parameters == std::vector<std::pair<std::string, std::string>>{
                                {"certificate", "aZ0-_"}, {"number", "1"}});
  const http::Request request;
  const Call call{.request = request,
                  .directory = nullptr,
                  .client = "192.0.2.1",
                  .parameters = match.parameters};
  CHECK(call.parameter("number") == "1");
  CHECK_THROWS_AS(call.parameter("order"), LogicError);
}

TEST_CASE("every route but directory and newNonce is for POST alone") {
  const Fixture f;
  std::size_t open = 0;
  for (std::size_t i = 0; i < f.router.patterns().size(); ++i) {
    const std::string pattern = f.router.patterns()[i];
    CAPTURE(pattern);
    if (pattern == "/directory" || pattern == "/new-nonce") {
      ++open;
      CHECK(f.router.allowed(i) == "GET, HEAD, POST");
    } else {
      CHECK(f.router.allowed(i) == "POST");
    }
  }
  CHECK(open == 2);
  CHECK(f.router.patterns().size() == 15);
}

TEST_CASE("a known path with another method has a route and no endpoint") {
  const Fixture f;
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "post", "OPTIONS"}) {
    const Router::Match match = f.router.match(method, "/new-order");
    CHECK(match.route != Router::kNoRoute);
    CHECK(match.endpoint == nullptr);
  }
  CHECK(f.router.match("HEAD", "/directory").endpoint != nullptr);
}

}  // namespace
}  // namespace gatehouse::web
