#include "acme-server/base/ascii.h"

#include <doctest/doctest.h>

#include <string>

#include "acme-server/base/http_syntax.h"

namespace gatehouse {
namespace {

// Every octet that `is_in` takes, in order.
template <class Class>
std::string members_of(Class is_in) {
  std::string members;
  for (int octet = 0; octet < 256; ++octet) {
    const char c = static_cast<char>(octet);
    if (is_in(c)) members += c;
  }
  return members;
}

const std::string kDigits = "0123456789";
const std::string kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const std::string kLower = "abcdefghijklmnopqrstuvwxyz";

TEST_CASE("each class holds its characters and no other octet") {
  CHECK(members_of(is_digit) == kDigits);
  CHECK(members_of(is_letter) == kUpper + kLower);
  CHECK(members_of(is_alphanumeric) == kDigits + kUpper + kLower);
  CHECK(members_of(is_word_character) == "-" + kDigits + kUpper + "_" + kLower);
  CHECK(members_of(is_blank) == "\t ");
  CHECK(members_of([](char c) { return hex_digit(c).has_value(); }) == kDigits + "ABCDEFabcdef");

  const std::string visible = members_of(is_visible);
  CHECK(visible.size() == 94);
  CHECK(visible.front() == '!');
  CHECK(visible.back() == '~');
  const std::string controls = members_of(is_control);
  CHECK(controls.size() == 33);
  CHECK(controls.back() == '\x7f');
}

TEST_CASE("a hexadecimal digit has its value in either case") {
  for (unsigned value = 0; value < 16; ++value) {
    CHECK(hex_digit("0123456789abcdef"[value]) == value);
    CHECK(hex_digit("0123456789ABCDEF"[value]) == value);
  }
}

TEST_CASE("only blanks and tabs count as blanks at the ends") {
  CHECK(trim_blanks(" \ta b\t ") == "a b");
  CHECK(trim_blanks("a\r\n") == "a\r\n");
  CHECK(trim_blanks(" \t").empty());
}

TEST_CASE("a token is what RFC 9110 section 5.6.2 says, and never empty") {
  CHECK(members_of([](char c) { return is_token({&c, 1}); }) ==
        "!#$%&'*+-." + kDigits + kUpper + "^_`" + kLower + "|~");
  CHECK_FALSE(is_token(""));
  CHECK(is_token("Content-Type"));
  CHECK_FALSE(is_token("Content-Type "));
}

TEST_CASE("a field value holds no control character but tab") {
  CHECK(is_field_value(""));
  CHECK(is_field_value("a\tb \xff"));
  for (const std::string& bad : {std::string("\0", 1), std::string("\n"), std::string("\r"),
                                 std::string("\x1f"), std::string("\x7f")}) {
    CHECK_FALSE(is_field_value("a" + bad));
  }
}

}  // namespace
}  // namespace gatehouse
