#include "acme-server/base/text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

namespace gatehouse {
namespace {

using namespace std::string_literals;

std::size_t characters_in(const std::string& utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

TEST_CASE("case is that of ASCII and no other letters") {
  CHECK(to_lower("AZaz09-[@`{") == "azaz09-[@`{");
  CHECK(to_lower("ÄÖ") == "ÄÖ");
  CHECK(equals_ignoring_case("Content-TYPE", "content-type"));
  CHECK(equals_ignoring_case("", ""));
  CHECK_FALSE(equals_ignoring_case("a", "ab"));
  CHECK_FALSE(equals_ignoring_case("@", "`"));  // 0x40 and 0x60: what "| 0x20" confuses
  CHECK_FALSE(equals_ignoring_case("[", "{"));
}

TEST_CASE("trim takes blanks off both ends and leaves those within") {
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim("a") == "a");
  CHECK(trim("") == "");
  CHECK(trim(" \r\n\t") == "");
  CHECK(trim("\v a\f") == "\v a\f");  // RFC 9110's OWS is blank and tab; CR and LF end lines
}

TEST_CASE("split keeps empty parts") {
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',') == std::vector<std::string_view>{""});
  CHECK(split(",", ',') == std::vector<std::string_view>{"", ""});
  CHECK(split("a", ',') == std::vector<std::string_view>{"a"});
}

TEST_CASE("join undoes split") {
  for (const std::string& text : {"a,,b"s, ""s, ","s, "a"s, "a,b,"s}) {
    const auto parts = split(text, ',');
    CHECK(join({parts.begin(), parts.end()}, ",") == text);
  }
  CHECK(join({}, ", ").empty());
  CHECK(join({"a", "b", "c"}, ", ") == "a, b, c");
}

struct Utf8Row {
  const char* why;
  std::string text;
  bool valid;
};

TEST_CASE("is_utf8 takes well-formed sequences alone") {
  const Utf8Row rows[] = {
      {"empty", "", true},
      {"ASCII with NUL", "a\0b"s, true},
      {"two octets, first", "\xc2\x80", true},
      {"two octets, last", "\xdf\xbf", true},
      {"three octets, first", "\xe0\xa0\x80", true},
      {"last before the surrogates", "\xed\x9f\xbf", true},
      {"first after the surrogates", "\xee\x80\x80", true},
      {"U+FFFF", "\xef\xbf\xbf", true},
      {"four octets, first", "\xf0\x90\x80\x80", true},
      {"U+10FFFF", "\xf4\x8f\xbf\xbf", true},
      {"text round a sequence", "a\xc3\xa4z", true},
      {"lone continuation", "\x80", false},
      {"overlong slash", "\xc0\xaf", false},
      {"overlong, C1", "\xc1\xbf", false},
      {"overlong, three octets", "\xe0\x9f\xbf", false},
      {"overlong, four octets", "\xf0\x8f\xbf\xbf", false},
      {"first surrogate", "\xed\xa0\x80", false},
      {"last surrogate", "\xed\xbf\xbf", false},
      {"beyond U+10FFFF", "\xf4\x90\x80\x80", false},
      {"F5", "\xf5\x80\x80\x80", false},
      {"FE", "\xfe", false},
      {"FF", "\xff", false},
      {"cut after one of two", "\xc3", false},
      {"cut after two of three", "a\xe2\x82", false},
      {"cut after three of four", "\xf0\x9f\x98", false},
      {"ASCII for a continuation", "\xc3\x28", false},
      {"third octet is no continuation", "\xe2\x82z", false},
      {"fourth octet is a lead", "\xf0\x9f\x98\xc3", false},
  };
  for (const Utf8Row& row : rows) {
    CAPTURE(row.why);
    CHECK(is_utf8(row.text) == row.valid);
  }
}

struct SampleRow {
  const char* why;
  std::string text;
  std::string shown;
};

TEST_CASE("sanitize shows text and escapes what is none") {
  const SampleRow rows[] = {
      {"plain", "hello, world", "hello, world"},
      {"letters of the world", "grün 例え 😀", "grün 例え 😀"},
      {"quote and backslash", R"(a"b\c)", R"(a\"b\\c)"},
      {"an escape in the input is told from ours", R"(\x00)", R"(\\x00)"},
      {"NUL", "a\0b"s, "a\\x00b"},
      {"a forged line of a log", "x\r\nlevel=error", "x\\x0d\\x0alevel=error"},
      {"a terminal's escape", "\x1b[31mred", "\\x1b[31mred"},
      {"DEL", "\x7f", "\\x7f"},
      {"C1 control: CSI in one character", "\xc2\x9b", "\\xc2\\x9b"},
      {"no-break space is text", "\xc2\xa0", "\xc2\xa0"},
      {"soft hyphen", "\xc2\xad", "\\xc2\\xad"},
      {"right-to-left override", "a\xe2\x80\xae z", "a\\xe2\\x80\\xae z"},
      {"zero-width space", "\xe2\x80\x8b", "\\xe2\\x80\\x8b"},
      {"line separator", "\xe2\x80\xa8", "\\xe2\\x80\\xa8"},
      {"direction isolate", "\xe2\x81\xa6", "\\xe2\\x81\\xa6"},
      {"byte order mark", "\xef\xbb\xbf", "\\xef\\xbb\\xbf"},
      {"tag letters", "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81"},
      {"Latin-1", "gr\xfcn", "gr\\xfcn"},
      {"overlong slash", "\xc0\xaf", "\\xc0\\xaf"},
      {"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"cut sequence, then text", "\xe2\x82 x", "\\xe2\\x82 x"},
      {"cut sequence at the end", "x\xf0\x9f\x98", "x\\xf0\\x9f\\x98"},
      {"a lead before a whole sequence", "\xc3\xc3\xa4", "\\xc3ä"},
  };
  for (const SampleRow& row : rows) {
    CAPTURE(row.why);
    CHECK(sanitize(row.text, 100) == row.shown);
  }
}

struct CutRow {
  std::string text;
  std::size_t limit;
  std::string shown;
};

TEST_CASE("sanitize cuts between characters and says so") {
  const CutRow rows[] = {
      {"abc", 3, "abc"},    {"abcd", 3, "ab…"},   {"abcd", 1, "…"},     {"a", 1, "a"},
      {"", 0, ""},          {"abc", 0, ""},       {"äöü", 3, "äöü"},    {"äöüß", 3, "äö…"},
      {"a\n", 5, "a\\x0a"}, {"a\nb", 5, "a…"},    {"\n\n", 4, "…"},     {"\n", 4, "\\x0a"},
      {"\n", 3, "…"},       {"\"\"", 3, "\\\"…"}, {"\xc2\x9b", 7, "…"}, {"ab\xff", 4, "ab…"},
  };
  for (const CutRow& row : rows) {
    CAPTURE(row.shown);
    CAPTURE(row.limit);
    CHECK(sanitize(row.text, row.limit) == row.shown);
  }
}

TEST_CASE("sanitize keeps its promises for any octets and any limit") {
  std::mt19937 random(20261122);  // NOLINT(cert-msc51-cpp): the same texts every time
  // Octets that begin, continue and break sequences are drawn more often than chance would.
  const std::string_view spice = "\"\\\n\x1b\x7f\x80\xbf\xc2\xe0\xe2\xed\xef\xf0\xf4\xff";
  for (int round = 0; round < 5000; ++round) {
    std::string text(random() % 24, '\0');
    for (char& c : text) {
      c = random() % 2 == 0 ? spice[random() % spice.size()] : static_cast<char>(random() % 256);
    }
    const std::size_t limit = random() % 40;
    const std::string shown = sanitize(text, limit);
    REQUIRE(is_utf8(shown));
    REQUIRE(characters_in(shown) <= limit);
    REQUIRE(std::ranges::none_of(
        shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
    for (std::size_t i = 0; i < shown.size(); ++i) {  // a quote only ever follows its backslash
      if (shown[i] == '\\') {
        ++i;
        REQUIRE(i < shown.size());
      } else {
        REQUIRE(shown[i] != '"');
      }
    }
  }
}

}  // namespace
}  // namespace gatehouse
