#include "acme-server/base/json_plain.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse {
namespace {

// Of the same types, too: 1 is unsigned, and says so when it is read.
void check_alike(const Json& a, const Json& b) {
  CHECK(a == b);
  CHECK(a.type() == b.type());
  CHECK(a.dump() == b.dump());
}

TEST_CASE("plain JSON is what the full parser makes of it") {
  for (const std::string_view text :
       {"{}", "[]", " { } ", "\t[\r\n] ", R"("")", R"("text")", "0", "7", "-7",
        "999999999999999999", "-999999999999999999", "true", "false", "null",
        "[1,-2,\"3\",true,false,null,[],{}]",
        R"({"protected":"eyJ","payload":"","signature":"AA"})",
        R"( {"a" : {"b" : [ {"c":1} , 2 ]} , "" : "/~" } )",
        R"({"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10})"}) {
    CAPTURE(text);
    const std::optional<Json> plain = parse_plain_json(text, {});
    REQUIRE(plain);
    check_alike(*plain, Json::parse(text));
  }
}

TEST_CASE("what is not plain is left to the full parser") {
  std::vector<std::string> rows = {"",
                                   " ",
                                   "1.5",
                                   "1e3",
                                   "-0",
                                   "1000000000000000000",
                                   "01",
                                   "-",
                                   "+1",
                                   ".5",
                                   "tru",
                                   "nul",
                                   "truex",
                                   "{",
                                   "[",
                                   "[1",
                                   "[1,",
                                   "[1,]",
                                   "[,1]",
                                   "[1 2]",
                                   R"({"a"})",
                                   R"({"a":})",
                                   R"({"a":1,})",
                                   R"({a:1})",
                                   R"({,})",
                                   R"({"a" 1})",
                                   R"("a)",
                                   R"("\"")",
                                   "\"\x7f\"",
                                   "\"\n\"",
                                   "\"ü\"",
                                   "{}{}",
                                   "1 2",
                                   "[]]",
                                   "// 1",
                                   "1 /**/",
                                   "]",
                                   "}",
                                   ":",
                                   R"({"a":1,"a":2})",
                                   R"({"b":{"a":1,"a":1}})"};
  for (const std::string& row : rows) {
    CAPTURE(row);
    CHECK_FALSE(parse_plain_json(row, {}));
  }
}

TEST_CASE("every beginning of a text, and the text with one octet changed, is read alike") {
  const std::string text = R"({"a":[12,-3,"x y"],"b":{"c":true,"d":null}})";
  const auto check = [](const std::string& row) {
    CAPTURE(row);
    if (const std::optional<Json> plain = parse_plain_json(row, {})) {
      REQUIRE(Json::accept(row));
      check_alike(*plain, Json::parse(row));
    }
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    check(text.substr(0, i));
    for (int octet = 0; octet < 256; ++octet) {
      std::string changed = text;
      changed[i] = static_cast<char>(octet);
      check(changed);
    }
  }
}

TEST_CASE("what passes the limits is left to the full parser, which refuses it") {
  CHECK(parse_plain_json("[[1]]", {.depth = 2}));
  CHECK_FALSE(parse_plain_json("[[[1]]]", {.depth = 2}));
  CHECK_FALSE(parse_plain_json("[[[]]]", {.depth = 2}));
  CHECK(parse_plain_json(R"({"a":[]})", {.depth = 2}));
  CHECK_FALSE(parse_plain_json(R"({"a":[{}]})", {.depth = 2}));
  CHECK(parse_plain_json("[1,2]", {.members = 2}));
  CHECK_FALSE(parse_plain_json("[1,2,3]", {.members = 2}));
  CHECK(parse_plain_json(R"({"a":1,"b":2})", {.members = 2}));
  CHECK_FALSE(parse_plain_json(R"({"a":1,"b":2,"c":3})", {.members = 2}));
  CHECK_FALSE(parse_plain_json(std::string(100'000, '['), {}));
}

}  // namespace
}  // namespace gatehouse
