#include "acme-server/base/json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "acme-server/base/text.h"

namespace gatehouse {
namespace {

using namespace std::string_literals;

// What the call says when it throws JsonError; "" when it does not.
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

std::string parse_message(const std::string& text, const JsonLimits& limits = {}) {
  return message_of([&] { parse_json(text, limits); });
}

TEST_CASE("JSON is read as it is written") {
  const Json value = parse_json(
      R"( {"b": [1, -2, 3.5, 18446744073709551615], "a": {"": null, "t": true}, "u": "\u00e4\ud83d\ude00\u0000"} )");
  CHECK(print_json(value) ==
        R"({"b":[1,-2,3.5,18446744073709551615],"a":{"":null,"t":true},"u":"ä😀\u0000"})");
  for (const std::string& text : {"{}"s, "[]"s, "null"s, "0"s, "\"\""s, "[[],{}]"s, "\r\n\t 1 "s}) {
    CAPTURE(text);
    CHECK(print_json(parse_json(text)) == trim(text));
  }
}

struct BadRow {
  std::string text;
  std::string message;
};

TEST_CASE("text that is not JSON is refused with the place and the reason") {
  const BadRow rows[] = {
      {"", "not valid JSON at octet 1: unexpected end of input; expected '[', '{', or a literal"},
      {"{", "not valid JSON at octet 2: unexpected end of input; expected string literal"},
      {R"({"a":})", "not valid JSON at octet 6: unexpected '}'; expected '[', '{', or a literal"},
      {R"({"a":1,})", "not valid JSON at octet 8: unexpected '}'; expected string literal"},
      {"[1,]", "not valid JSON at octet 4: unexpected ']'; expected '[', '{', or a literal"},
      {"nul", "not valid JSON at octet 4: invalid literal"},
      {"{} {}", "not valid JSON at octet 4: unexpected '{'; expected end of input"},
      {"{}x", "not valid JSON at octet 3: invalid literal"},
      {"// x\n{}", "not valid JSON at octet 1: invalid literal"},
      {"{}\0{}"s, "not valid JSON at octet 3: a NUL octet"},
      {"{}\0"s, "not valid JSON at octet 3: a NUL octet"},
      {"\xef\xbb\xbf{}", "begins with a byte order mark; send or save it as UTF-8 without one"},
      {"1e999", "not valid JSON at octet 5: a number is too large"},
  };
  for (const BadRow& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_message(row.text) == row.message);
  }
}

TEST_CASE("what other parsers let pass is refused") {
  const std::string rows[] = {"'a'",
                              "{a:1}",
                              "[01]",
                              "[+1]",
                              "[.5]",
                              "[1.]",
                              "[0x10]",
                              "NaN",
                              "Infinity",
                              "-Infinity",
                              "[1,,2]",
                              "\"\t\"",
                              "\"\n\"",
                              "\"\x01\"",
                              R"("\x41")",
                              R"("\u12")",
                              R"("\ud800")",
                              R"("\udc00\ud800")",
                              "\"\xc3\x28\"",
                              "\"\xc0\xaf\"",
                              "\"\xed\xa0\x80\"",
                              "\"\xff\"",
                              "\"abc",
                              "tru",
                              "TRUE",
                              "{\"a\" 1}",
                              "{1:2}",
                              "[1 2]",
                              "]",
                              "{\"a\":1",
                              "{}}",
                              "{} //",
                              "#\n{}",
                              "\xff\xfe{\0}\0"s,
                              "\xc2\xa0{}",
                              "\v{}"};
  for (const std::string& row : rows) {
    CAPTURE(sanitize(row, 60));
    CHECK_FALSE(parse_message(row).empty());
  }
}

TEST_CASE("a syntax message is short and fit to print, whatever was sent") {
  for (const std::string& text :
       {"\""s + std::string(5000, 'a'), "\"\x1b[31m\xff"s, "\xff\xff\xff"s, std::string(3000, 'x'),
        "-"s + std::string(3000, '9') + "x"}) {
    const std::string message = parse_message(text);
    CHECK_FALSE(message.empty());
    CHECK(message.size() < 250);
    CHECK(std::ranges::all_of(message, [](char c) { return c >= ' ' && c <= '~'; }));
  }
}

TEST_CASE("a member given twice is refused at every depth") {
  const BadRow rows[] = {
      {R"({"alg":"ES256","kid":"x","alg":"none"})", "alg: is given twice"},
      {R"({"a":1,"a":1})", "a: is given twice"},
      {R"({"a":null,"\u0061":1})", "a: is given twice"},
      {R"({"":1,"":1})", ": is given twice"},
      {R"({"outer":{"b":[0,{"c":1,"c":2}]}})", "outer.b[1].c: is given twice"},
      {R"({"x\n\"":1,"x\n\"":1})", R"(x\x0a\": is given twice)"},
  };
  for (const BadRow& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_message(row.text) == row.message);
  }
  CHECK(parse_message(R"({"a":{"a":{"a":1}},"A":1,"b":[{"a":1},{"a":2}]})").empty());
}

TEST_CASE("depth is limited") {
  const JsonLimits limits{.depth = 3};
  CHECK(parse_message("[[[1]]]", limits).empty());
  CHECK(parse_message(R"({"a":[{}]})", limits).empty());
  CHECK(parse_message(R"({"a":{"b":[[]]}})", limits) ==
        "a.b[0]: is nested deeper than the 3 levels allowed");
  CHECK(parse_message("[]", {.depth = 0}) == "is nested deeper than the 0 levels allowed");
  CHECK(parse_message("1", {.depth = 0}).empty());
  // A bomb stops at the limit: it does not need to be well-formed to the end.
  CHECK(parse_message(std::string(100000, '['))
            .ends_with("is nested deeper than the 16 levels allowed"));
}

TEST_CASE("members and elements are limited, of each object and array by itself") {
  const JsonLimits limits{.members = 2};
  CHECK(parse_message("[[1,2],[3,4]]", limits).empty());
  CHECK(parse_message(R"({"a":[1,2],"b":{"c":1,"d":2}})", limits).empty());
  CHECK(parse_message("[1,2,3]", limits) == "has more than the 2 members allowed");
  CHECK(parse_message(R"({"a":{"b":1,"c":2,"d":3}})", limits) ==
        "a: has more than the 2 members allowed");
  CHECK(parse_message(R"({"a":[1,2,[]]})", limits) == "a: has more than the 2 members allowed");
}

TEST_CASE("the config may have comments, and its errors name line and column") {
  const JsonLimits config{.comments = true};
  CHECK(print_json(parse_json("// one\n{/* two\n */ \"a\": 1 // three\n}\n", config)) ==
        R"({"a":1})");
  CHECK(parse_message("{\n  \"a\": 1,\n  \"b\": oops\n}\n", config) ==
        "not valid JSON at line 3, column 8: invalid literal");
  CHECK(
      parse_message("{\n  \"a\": 1\n", config).starts_with("not valid JSON at line 3, column 1: "));
  CHECK(parse_message("{\n  # no\n}", config) ==
        "not valid JSON at line 2, column 3: comments begin with //, not with #");
  CHECK(parse_message("[1,]", config).starts_with("not valid JSON at line 1, column 4: "));
  CHECK(parse_message("", config).starts_with("not valid JSON at line 1, column 1: "));
  CHECK_FALSE(parse_message("{} /* open", config).empty());
  CHECK_FALSE(parse_message("# no\n{}", config).empty());
}

TEST_CASE("printing never throws, also for octets that are not UTF-8") {
  CHECK(print_json(Json{{"a", "\xff"}}) == "{\"a\":\"\xef\xbf\xbd\"}");
  CHECK(print_json_pretty(Json{{"b", 1}, {"a", Json::array({1})}}) ==
        "{\n  \"b\": 1,\n  \"a\": [\n    1\n  ]\n}");
}

const Json& sample() {
  static const Json value = parse_json(
      R"({"text": "abc", "null": null, "yes": true, "port": 70000, "min": -9223372036854775808,
      "max": 9223372036854775807, "huge": 18446744073709551615, "half": 0.5, "one": 1.0, "list": ["a", "b"],
      "mixed": ["a", 1], "empty": [], "object": {"inner": 5}})");
  return value;
}

TEST_CASE("readers give what is there") {
  const JsonObject object(sample());
  CHECK(object.string("text") == "abc");
  CHECK(object.optional_string("text", 3) == "abc");
  CHECK(object.optional_bool("yes") == true);
  CHECK(object.optional_integer("port", 70000, 70000) == 70000);
  CHECK(object.optional_integer("min", INT64_MIN, 0) == INT64_MIN);
  CHECK(object.optional_integer("max", 0, INT64_MAX) == INT64_MAX);
  CHECK(object.optional_strings("list", 2, 1) == std::vector<std::string>{"a", "b"});
  CHECK(object.optional_strings("empty") == std::vector<std::string>{});
  CHECK(object.object("object").optional_integer("inner", 0, 9) == 5);
  CHECK(object.optional_object("object")->path() == "object");
  CHECK(object.optional_array("mixed")->size() == 2);
}

TEST_CASE("a missing field and null are nothing, and for required fields an error") {
  const JsonObject object(sample());
  for (const char* name : {"missing", "null"}) {
    CAPTURE(name);
    CHECK_FALSE(object.has(name));
    CHECK_FALSE(object.optional_string(name));
    CHECK_FALSE(object.optional_bool(name));
    CHECK_FALSE(object.optional_integer(name, 0, 1));
    CHECK_FALSE(object.optional_strings(name));
    CHECK_FALSE(object.optional_object(name));
    CHECK(object.optional_array(name) == nullptr);
    CHECK(message_of([&] { object.string(name); }) == name + ": is required"s);
    CHECK(message_of([&] { object.object(name); }) == name + ": is required"s);
  }
  CHECK(object.has("text"));
  CHECK(object.find("missing") == nullptr);
  REQUIRE(object.find("null") != nullptr);
  CHECK(object.find("null")->is_null());
}

struct ReaderRow {
  std::function<void(const JsonObject&)> read;
  std::string message;
};

TEST_CASE("readers name the field's path, what it must be and what it is") {
  const ReaderRow rows[] = {
      {[](const JsonObject& o) { o.string("port"); }, "v.port: must be a string, but is a number"},
      {[](const JsonObject& o) { o.optional_string("yes"); },
       "v.yes: must be a string, but is true or false"},
      {[](const JsonObject& o) { o.string("text", 2); },
       "v.text: has 3 octets, more than the 2 allowed"},
      {[](const JsonObject& o) { o.object("list"); }, "v.list: must be an object, but is an array"},
      {[](const JsonObject& o) { o.optional_object("text"); },
       "v.text: must be an object, but is a string"},
      {[](const JsonObject& o) { o.optional_bool("text"); },
       "v.text: must be true or false, but is a string"},
      {[](const JsonObject& o) { o.optional_integer("port", 1, 65535); },
       "v.port: 70000 is not an integer in 1..65535"},
      {[](const JsonObject& o) { o.optional_integer("port", 70001, 70002); },
       "v.port: 70000 is not an integer in 70001..70002"},
      {[](const JsonObject& o) { o.optional_integer("huge", INT64_MIN, 9); },
       "v.huge: 18446744073709551615 is not an integer in -9223372036854775808..9"},
      {[](const JsonObject& o) { o.optional_integer("half", 0, 9); },
       "v.half: 0.5 is not an integer in 0..9"},
      {[](const JsonObject& o) { o.optional_integer("one", 0, 9); },
       "v.one: 1.0 is not an integer in 0..9"},
      {[](const JsonObject& o) { o.optional_integer("text", 0, 9); },
       "v.text: a string is not an integer in 0..9"},
      {[](const JsonObject& o) { o.optional_array("object"); },
       "v.object: must be an array, but is an object"},
      {[](const JsonObject& o) { o.optional_strings("text"); },
       "v.text: must be an array, but is a string"},
      {[](const JsonObject& o) { o.optional_strings("mixed"); },
       "v.mixed[1]: must be a string, but is a number"},
      {[](const JsonObject& o) { o.optional_strings("list", 1); },
       "v.list: has 2 elements, more than the 1 allowed"},
      {[](const JsonObject& o) { o.optional_strings("list", 2, 0); },
       "v.list[0]: has 1 octets, more than the 0 allowed"},
      {[](const JsonObject& o) { o.object("object").string("inner"); },
       "v.object.inner: must be a string, but is a number"},
  };
  const JsonObject object(sample(), "v");
  for (const ReaderRow& row : rows) {
    CHECK(message_of([&] { row.read(object); }) == row.message);
  }
}

TEST_CASE("only an object is read as one") {
  CHECK(message_of([] { const JsonObject object(Json::array()); }) ==
        "must be an object, but is an array");
  CHECK(message_of([] { const JsonObject object(Json(nullptr), "a.b"); }) ==
        "a.b: must be an object, but is null");
}

TEST_CASE("an unknown member is named together with the nearest known one") {
  const auto message = [](const char* name, const std::string& path) {
    const Json value{{"port", 1}, {name, 2}};
    return message_of(
        [&] { JsonObject(value, path).only({"port", "timeout_seconds", "redirects"}); });
  };
  CHECK(message("prot", "validators.http01") ==
        "validators.http01.prot is not a known option; did you mean port?");
  CHECK(message("timeout", "") == "timeout is not a known option; did you mean timeout_seconds?");
  CHECK(message("timeout_second", "") ==
        "timeout_second is not a known option; did you mean timeout_seconds?");
  CHECK(message("Redirects", "") == "Redirects is not a known option; did you mean redirects?");
  CHECK(message("zzzzzzzz", "a") ==
        "a.zzzzzzzz is not a known option; known here: port, timeout_seconds, redirects");
  CHECK(message("x\n\x1b", "") ==
        "x\\x0a\\x1b is not a known option; known here: port, timeout_seconds, redirects");
  CHECK(message(std::string(5000, 'p').c_str(), "").size() < 200);
  const Json lone{{"a", 1}};
  CHECK(message_of([&] { JsonObject(lone).only({}); }) == "a is not a known option");
}

TEST_CASE("known members pass, in any order and not all of them") {
  const Json value = parse_json(R"({"b":1,"a":null})");
  CHECK_NOTHROW(JsonObject(value).only({"a", "b", "c"}));
  const Json none = Json::object();
  CHECK_NOTHROW(JsonObject(none).only({}));
}

}  // namespace
}  // namespace gatehouse
