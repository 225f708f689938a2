#include "config/edit.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace gatehouse::config {
namespace {

constexpr const char* kText = R"(// The company's.
{
  "base_url": "https://acme.test", // where
  "backends": {
    /* the "one" */
    "local": {
      "type": "local",
      "certificate": "ca/issuer.pem", // ours
      "key": "ca/{issuer}.key"  // never shown
      // the end
    }
  }
}
)";

TEST_CASE("a member is set in place, and everything else stays as it was") {
  const std::string changed =
      set_member(kText, {"backends", "local", "certificate"}, "ca/issuer-2.pem");
  std::string expected = kText;
  const std::string old = "ca/issuer.pem";
  expected.replace(expected.find(old), old.size(), "ca/issuer-2.pem");
  CHECK(changed == expected);
}

TEST_CASE("a new member stands behind the last, and behind its comment") {
  const std::string changed = set_member(kText, {"backends", "local", "passphrase"}, "env:PASS");
  CHECK(changed.find("\"ca/{issuer}.key\",  // never shown\n      \"passphrase\": \"env:PASS\"\n"
                     "      // the end\n") != std::string::npos);
  CHECK(set_member("{}", {"a"}, 1) == R"({ "a": 1 })");
  CHECK(set_member(R"({"a":1})", {"b"}, 2) == R"({"a":1, "b": 2})");
  CHECK(parse_json(set_member("{\"a\":1}", {"b", "c", "d"}, 2)) ==
        parse_json(R"({"a":1,"b":{"c":{"d":2}}})"));
}

TEST_CASE("elements go to either end of a list, which is made when there is none") {
  const MemberPath path = {"list"};
  CHECK(add_element(R"({"list": [ 1, /* ] */ 2 /* last */ ]})", path, 3, ListEnd::back) ==
        R"({"list": [ 1, /* ] */ 2, 3 /* last */ ]})");
  CHECK(add_element(R"({"list": [1]})", path, 0, ListEnd::front) == R"({"list": [0, 1]})");
  CHECK(add_element(R"({"list": []})", path, 0, ListEnd::back) == R"({"list": [0]})");
  CHECK(add_element("{}", path, 0, ListEnd::front) == R"({ "list": [0] })");
  const Json object = {{"certificate", "ca/issuer.pem"}};
  const Json changed =
      parse_json(add_element(kText, {"backends", "local", "previous"}, object, ListEnd::front),
                 {.comments = true});
  CHECK(changed["backends"]["local"]["previous"] == Json::array({object}));
}

TEST_CASE("what is no config, or has something else in that place, is left alone") {
  CHECK_THROWS_AS(set_member("{", {"a"}, 1), JsonError);
  CHECK_THROWS_AS(set_member(R"({"a": 1})", {"a", "b"}, 1), std::runtime_error);
}

}  // namespace
}  // namespace gatehouse::config
