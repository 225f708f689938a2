#include "acme-server/core/identifier.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace gatehouse {
namespace {

using Kind = IdentifierError::Kind;

std::string labels(std::size_t count, std::size_t length) {
  std::string name;
  for (std::size_t i = 0; i < count; ++i) {
    name.append(i == 0 ? "" : ".").append(length, 'a');
  }
  return name;
}

struct Good {
  std::string type, value, canonical;
};

TEST_CASE("names are folded and otherwise kept as they are") {
  const Good rows[] = {
      {"dns", "a.test", "a.test"},
      {"dns", "A.TeSt", "a.test"},
      {"dns", "*.A.test", "*.a.test"},
      {"dns", "az-09.test", "az-09.test"},  // the ends of what a label is made of
      {"dns", "AZ.test", "az.test"},
      {"dns", "intranet", "intranet"},  // whether it may be ordered is policy
      {"dns", "1.a.test", "1.a.test"},
      {"dns", "a-b.1a.test", "a-b.1a.test"},
      {"dns", "a--b.test", "a--b.test"},  // third and fourth are "-b"
      {"dns", "xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"dns", "XN--BCHER-KVA.example", "xn--bcher-kva.example"},
      {"dns", "*.xn--bcher-kva.example", "*.xn--bcher-kva.example"},
      {"dns", "xn--fiqs8s", "xn--fiqs8s"},
      {"dns", "xn--strae-oqa.example", "xn--strae-oqa.example"},  // ß is a letter in IDNA2008
      {"dns", "in-addr.arpa.example", "in-addr.arpa.example"},
      {"dns", "notin-addr.arpa", "notin-addr.arpa"},
      {"dns", labels(1, 63) + ".test", labels(1, 63) + ".test"},
      {"dns", labels(3, 63) + "." + labels(1, 61), labels(3, 63) + "." + labels(1, 61)},
      {"ip", "192.0.2.1", "192.0.2.1"},
      {"ip", "2001:db8::1", "2001:db8::1"},
      {"ip", "::", "::"},
  };
  for (const Good& row : rows) {
    CAPTURE(row.value);
    const auto parsed = parse_identifier(row.type, row.value);
    REQUIRE(parsed.has_value());
    CHECK(parsed->value == row.canonical);
    CHECK(to_string(parsed->type) == row.type);
  }
}

struct Bad {
  std::string type, value;
  Kind kind = Kind::malformed;
};

TEST_CASE("what is no identifier is refused") {
  using namespace std::string_literals;
  const Bad rows[] = {
      {"email", "a@b.test", Kind::unsupported_type},
      {"DNS", "a.test", Kind::unsupported_type},
      {"", "a.test", Kind::unsupported_type},
      {"dns", ""},
      {"dns", "."},
      {"dns", "a.test."},
      {"dns", ".a.test"},
      {"dns", "a..test"},
      {"dns", "-a.test"},
      {"dns", "a-.test"},
      {"dns", "a_b.test"},
      {"dns", "_acme-challenge.a.test"},
      {"dns", "a b.test"},
      {"dns", " a.test"},
      {"dns", "a.test\n"},
      {"dns", "a.test\0.b.test"s},
      {"dns", "a%2etest"},
      {"dns", "a.test:443"},
      {"dns", "https://a.test"},
      {"dns", "bücher.example"},
      {"dns", "a\xff.test"},
      {"dns", labels(1, 64) + ".test"},
      {"dns", labels(3, 63) + "." + labels(1, 62)},
      {"dns", std::string(100'000, 'a')},
      // wildcards: RFC 8555 section 7.1.3
      {"dns", "*"},
      {"dns", "*."},
      {"dns", "a.*.test"},
      {"dns", "*a.test"},
      {"dns", "a*.test"},
      {"dns", "**.test"},
      {"dns", "*.*.test"},
      {"dns", "*.192.0.2.1"},
      // addresses and what URL parsers take for one
      {"dns", "192.0.2.1"},
      {"dns", "::1"},
      {"dns", "[::1]"},
      {"dns", "1.2.3"},
      {"dns", "a.123"},
      {"dns", "2130706433"},
      {"dns", "0x7f000001"},
      {"dns", "a.0x7f"},
      {"dns", "a.0x"},
      // A-labels that libidn2 does not take back to the same
      {"dns", "xn--.test"},
      {"dns", "xn--a.test"},
      {"dns", "xn--zz--.test"},
      {"dns", "xn--abc-.test"},         // decodes to plain ASCII
      {"dns", "xn--i-7iq.test"},        // U+2764, a symbol: DISALLOWED
      {"dns", "xn--ls8h.test"},         // an emoji: DISALLOWED in IDNA2008
      {"dns", "xn--99999999999.test"},  // overflow
      {"dns", "xn--bcher-kva-.test"},
      {"dns", "xn--u-ccb.test"},      // "u" and U+0308: not NFC
      {"dns", "xn--bcher-2pa.test"},  // "bÜcher", an upper-case letter: maps, never stands
      {"dns", "ab--c.test"},          // reserved LDH label
      {"dns", "zq--c.test"},
      // reverse zones
      {"dns", "1.2.0.192.in-addr.arpa", Kind::rejected},
      {"dns", "in-addr.arpa", Kind::rejected},
      {"dns", "*.2.0.192.IN-ADDR.ARPA", Kind::rejected},
      {"dns", "1.0.8.b.d.0.1.0.0.2.ip6.arpa", Kind::rejected},
      // RFC 8738 section 3: canonical text only
      {"ip", "::0001"},
      {"ip", "2001:DB8::1"},
      {"ip", "2001:db8:0:0:0:0:0:1"},
      {"ip", "1.2.3"},
      {"ip", "010.0.0.1"},
      {"ip", "192.0.2.1/32"},
      {"ip", "[::1]"},
      {"ip", "fe80::1%eth0"},
      {"ip", " 192.0.2.1"},
      {"ip", "192.0.2.1\0"s},
      {"ip", "a.test"},
      {"ip", ""},
      {"ip", "::ffff:192.0.2.1", Kind::rejected},
      {"ip", "::ffff:c000:201"},
  };
  for (const Bad& row : rows) {
    CAPTURE(row.type);
    CAPTURE(row.value);
    const auto parsed = parse_identifier(row.type, row.value);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().kind == row.kind);
    CHECK(parsed.error().detail.size() > 10);
    CHECK(parsed.error().detail.size() < 400);  // never the whole of a long value
  }
}

TEST_CASE("a refusal shows hostile text in a harmless form") {
  const auto parsed = parse_identifier("dns", "a\r\nb\x01.test");
  REQUIRE_FALSE(parsed.has_value());
  for (const char c : parsed.error().detail) {
    CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
}

TEST_CASE("a wildcard and the name below it lead to each other") {
  const Identifier wildcard{.type = IdentifierType::dns, .value = "*.a.test"};
  CHECK(wildcard.is_wildcard());
  CHECK(wildcard.base() == Identifier{.type = IdentifierType::dns, .value = "a.test"});
  CHECK_FALSE(wildcard.base().is_wildcard());
  CHECK(wildcard.base().base() == wildcard.base());
  CHECK(wildcard.base().wildcard() == wildcard);
}

TEST_CASE("names of a CSR are folded as those of orders are") {
  CHECK(dns_identifier("WWW.A.test")->value == "www.a.test");
  CHECK_FALSE(dns_identifier("a_b.test").has_value());
  CHECK(ip_identifier("2001:db8::1")->type == IdentifierType::ip);
  CHECK_FALSE(ip_identifier("a.test").has_value());
}

}  // namespace
}  // namespace gatehouse
