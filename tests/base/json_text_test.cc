#include "acme-server/base/json_text.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse {
namespace {

std::string dumped(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

TEST_CASE("a string is written as the library writes it, whatever is in it") {
  std::vector<std::string> rows = {
      "",         "plain text",   "quote \" and \\",     "line\nend\ttab",
      "Grüße",    "\xff\xfe bad", std::string("\0x", 2), "\x7f",
      "</script>"};
  for (int octet = 0; octet < 256; ++octet) {
    rows.push_back("a" + std::string(1, static_cast<char>(octet)) + "z");
  }
  for (const std::string& row : rows) {
    CAPTURE(row);
    std::string out = "[";
    append_json_string(out, row);
    CHECK(out == "[" + dumped(Json(row)));
  }
}

TEST_CASE("a value is written as the library writes it, whatever its type") {
  const Json every = {{"", nullptr},
                      {"yes", true},
                      {"no", false},
                      {"zero", 0},
                      {"negative", std::numeric_limits<std::int64_t>::min()},
                      {"large", std::numeric_limits<std::uint64_t>::max()},
                      {"half", 0.5},
                      {"whole", 3.0},
                      {"small", 1e-9},
                      {"none", std::numeric_limits<double>::infinity()},
                      {"text", "a \"b\" \n"},
                      {"Gr\xfc\xdf e", "bad"},
                      {"object", Json::object()},
                      {"array", Json::array()},
                      {"nested", {{"a", {1, -2, "3", {{"b", {nullptr}}}}}}}};
  CHECK(print_json(every) == dumped(every));
  for (const auto& [name, value] : every.items()) {
    CAPTURE(name);
    CHECK(print_json(value) == dumped(value));
  }
}

}  // namespace
}  // namespace gatehouse
