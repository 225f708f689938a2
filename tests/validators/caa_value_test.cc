#include "validators/caa_value.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

namespace gatehouse::validators {

namespace {

struct Row {
  std::string text;
  std::optional<IssueValue> value;
};

IssueValue of(std::string domain, std::vector<IssueParameter> parameters = {}) {
  return {.issuer_domain = std::move(domain), .parameters = std::move(parameters)};
}

TEST_CASE("an issue value is read by the grammar of RFC 8659 section 4.2, or not at all") {
  const Row rows[] = {
      {"", of("")},
      {";", of("")},
      {" ", of("")},
      {" ; ", of("")},
      {"\t;\t", of("")},
      {"ca.example", of("ca.example")},
      {"CA.Example", of("CA.Example")},
      {"  ca.example\t", of("ca.example")},
      {"ca.example;", of("ca.example")},
      {"ca.example ; ", of("ca.example")},
      {"ca", of("ca")},
      {"c--a.xn--bcher-kva.example", of("c--a.xn--bcher-kva.example")},
      {"1.2", of("1.2")},
      {"ca.example;a=b", of("ca.example", {{"a", "b"}})},
      {"ca.example; a=b", of("ca.example", {{"a", "b"}})},
      {"ca.example ;\ta =\tb ", of("ca.example", {{"a", "b"}})},
      {"ca.example; a=b;c=d", of("ca.example", {{"a", "b"}, {"c", "d"}})},
      {"ca.example; a=b ; c=d", of("ca.example", {{"a", "b"}, {"c", "d"}})},
      {"ca.example; a=b; a=b", of("ca.example", {{"a", "b"}, {"a", "b"}})},
      {"ca.example; a=", of("ca.example", {{"a", ""}})},
      {"ca.example; a=b=c", of("ca.example", {{"a", "b=c"}})},
      {"ca.example; a-1=\"x\",y!~", of("ca.example", {{"a-1", "\"x\",y!~"}})},
      {"; policy=ev", of("", {{"policy", "ev"}})},
      {"ca.example; a=b;", std::nullopt},
      {"ca.example; ; a=b", std::nullopt},
      {"ca.example;;", std::nullopt},
      {"ca.example; a", std::nullopt},
      {"ca.example; =b", std::nullopt},
      {"ca.example; a-=b", std::nullopt},
      {"ca.example; -a=b", std::nullopt},
      {"ca.example; a_b=c", std::nullopt},
      {"ca.example; a b=c", std::nullopt},
      {"ca.example; a=b c", std::nullopt},
      {"ca.example; a=b\tc", std::nullopt},
      {"ca.example; a=\x7f", std::nullopt},
      {"ca.example; a=\xc3\xa9", std::nullopt},
      {"ca.example a=b", std::nullopt},
      {"ca.example.", std::nullopt},
      {".ca.example", std::nullopt},
      {"ca..example", std::nullopt},
      {"-ca.example", std::nullopt},
      {"ca-.example", std::nullopt},
      {"ca_1.example", std::nullopt},
      {"*.example", std::nullopt},
      {"%%%%%", std::nullopt},
      {"ca.example\n", std::nullopt},
      {"ca.example\r\n;", std::nullopt},
      {"\"ca.example\"", std::nullopt},
      {"https://ca.example/", std::nullopt},
      {std::string("ca.example\0", 11), std::nullopt},
      {std::string("ca.example\0.evil", 16), std::nullopt},
      {std::string("ca.example; a=\0", 15), std::nullopt},
      {"b\xc3\xbc"
       "cher.example",
       std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_issue_value(row.text) == row.value);
  }
}

TEST_CASE("a list of methods names what it lists, and nothing when it is no list") {
  const std::string http = "http-01";
  for (const char* list : {"http-01", "dns-01,http-01", "http-01,dns-01", "ca-own,http-01,x"}) {
    CAPTURE(list);
    CHECK(names_method(list, http));
  }
  for (const char* list :
       {"", "dns-01", "HTTP-01", "http-0", "http-011", "http-01,", ",http-01", "http-01,,dns-01",
        "http-01 ,dns-01", "http-01;dns-01", "http_01", "http-01,dns_01", "\"http-01\"", "*"}) {
    CAPTURE(list);
    CHECK_FALSE(names_method(list, http));
  }
}

TEST_CASE("a value of any length is read in one pass") {
  std::string long_one = "ca.example; a=b";
  for (int i = 0; i < 10'000; ++i) long_one += "; a=b";
  CHECK(parse_issue_value(long_one)->parameters.size() == 10'001);
  CHECK_FALSE(parse_issue_value(std::string(65'000, ';')));
  CHECK_FALSE(parse_issue_value(std::string(65'000, '.')));
}

}  // namespace

}  // namespace gatehouse::validators
