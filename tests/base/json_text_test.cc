#include "acme-server/base/json_text.h"

#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/json.h"

namespace gatehouse {
namespace {

TEST_CASE("a string is written as print_json writes it, whatever is in it") {
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
    CHECK(out == "[" + print_json(Json(row)));
  }
}

}  // namespace
}  // namespace gatehouse
