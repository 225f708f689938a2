#include "acme-server/base/base64url.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "acme-server/base/hex.h"

namespace gatehouse {
namespace {

struct Pair {
  std::string_view octets;
  std::string_view text;
};

TEST_CASE("base64url has no padding and two letters of its own") {
  // RFC 4648 section 10, and the two octets that need "-" and "_".
  const Pair rows[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
  for (const auto& [octets, text] : rows) {
    CAPTURE(text);
    CHECK(base64url_encode(as_bytes(octets)) == text);
    const auto decoded = base64url_decode(text);
    REQUIRE(decoded);
    CHECK(as_text(*decoded) == octets);
  }
}

TEST_CASE("base64url refuses what is not the one spelling of some octets") {
  const std::string_view rows[] = {"A",            // no octets have one letter
                                   "AAAAA",        //
                                   "Zg==",         // padding
                                   "Zm8=",         //
                                   "=",            //
                                   "-_8\n",        // white space
                                   "Zm 9v",        //
                                   "Zh",           // non-zero trailing bits, four of them
                                   "Zm9",          // and two
                                   "-_9",          //
                                   "+/8",          // standard base64's letters
                                   "Zm9v\x80",     // above ASCII
                                   "Zm9*",         //
                                   {"Zm\0v", 4}};  // NUL
  for (const std::string_view row : rows) {
    CAPTURE(std::string(row));
    CHECK_FALSE(base64url_decode(row));
  }
}

TEST_CASE("base64url gives back every octet in every place") {
  for (std::size_t length = 1; length <= 4; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (unsigned octet = 0; octet < 256; ++octet) {
        Bytes bytes(length, 0xa5);
        bytes[at] = static_cast<std::uint8_t>(octet);
        const auto decoded = base64url_decode(base64url_encode(bytes));
        REQUIRE(decoded);
        REQUIRE(*decoded == bytes);
      }
    }
  }
}

TEST_CASE("of the letters that may end a text only those without stray bits decode") {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    CHECK(base64url_decode(std::string("A") + kAlphabet[i]).has_value() == (i % 16 == 0));
    CHECK(base64url_decode(std::string("AA") + kAlphabet[i]).has_value() == (i % 4 == 0));
    CHECK(base64url_decode(std::string("AAA") + kAlphabet[i]).has_value());
  }
}

TEST_CASE("base64 pads to four letters") {
  const Pair rows[] = {{"", ""},
                       {"f", "Zg=="},
                       {"fo", "Zm8="},
                       {"foo", "Zm9v"},
                       {"foob", "Zm9vYg=="},
                       {"fooba", "Zm9vYmE="},
                       {"\xfb\xff", "+/8="}};
  for (const auto& [octets, text] : rows) {
    CHECK(base64_encode(as_bytes(octets)) == text);
    const auto back = base64_decode(std::string(text).insert(0, " \r\n") + "\n");
    REQUIRE(back);
    CHECK(as_text(*back) == octets);
  }
  for (const char* bad : {"Zg", "Zg=", "Zg==Zg==", "Zm9v-", "Z!==", "Zh==", "===="}) {
    CAPTURE(bad);
    CHECK_FALSE(base64_decode(bad));
  }
}

TEST_CASE("hex is lower case, and either case is read") {
  CHECK(hex_encode(Bytes{0x00, 0x0f, 0xf0, 0xab}) == "000ff0ab");
  CHECK(hex_encode({}).empty());
  CHECK(hex_decode("000FF0aB") == Bytes{0x00, 0x0f, 0xf0, 0xab});
  CHECK(hex_decode("") == Bytes{});
}

TEST_CASE("hex refuses odd lengths and other characters") {
  for (const char* row :
       {"0", "abc", "0g", "g0", "0x00", " 00", "00 ", "-1", "+1", "\xff\xff", ":0", "@a", "`a"}) {
    CAPTURE(row);
    CHECK_FALSE(hex_decode(row));
  }
}

}  // namespace
}  // namespace gatehouse
