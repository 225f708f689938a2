#include "acme-server/base/ip_address.h"

#include <doctest/doctest.h>

namespace gatehouse {

namespace {

std::string printed(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "(refused)";
}

std::vector<std::string> embedded_in(std::string_view text) {
  std::vector<std::string> all;
  for (const IpAddress& address : embedded_ipv4(IpAddress::parse(text).value())) {
    all.push_back(address.to_string());
  }
  return all;
}

}  // namespace

TEST_CASE("texts that only lenient parsers take for an IPv4 address are refused") {
  for (const std::string_view text :
       {"",           ".",          "1",           "127.1",        "127.0.1",
        "2130706433", "0x7f000001", "0x7f.0.0.1",  "0177.0.0.1",   "127.0.0.01",
        "127.0.0.1.", ".127.0.0.1", "127.0.0.256", "127.0.0.1000", "127..0.1",
        "127.0.0.1 ", " 127.0.0.1", "127.0.0.-1",  "127.0.0.+1",   "1.2.3.4.5",
        "1.2.3",      "1.2.3.4/8",  "１.2.3.4"}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("texts that are no IPv6 address are refused") {
  for (const std::string_view text : {":",
                                      ":::",
                                      "1:",
                                      ":1",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1::2::3",
                                      "::1::",
                                      "1:2:3:4:5:6:7::8",
                                      "::1:2:3:4:5:6:7:8",
                                      "12345::",
                                      "g::",
                                      "::1%eth0",
                                      "[::1]",
                                      "::1/128",
                                      "::1.2.3",
                                      "::1.2.3.256",
                                      "1.2.3.4::",
                                      "::1.2.3.4:5",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      ":1::",
                                      "1:::2",
                                      "0000:0000:0000:0000:0000:0000:255.255.255.2555",
                                      " ::1",
                                      "::1 ",
                                      "::-1"}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
}

TEST_CASE("addresses print as RFC 5952 has them") {
  const struct {
    std::string_view text, expected;
  } rows[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"192.0.2.1", "192.0.2.1"},
      {"::", "::"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:0DB8::0001", "2001:db8::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"::ffff:7f00:1", "::ffff:127.0.0.1"},
      {"::FFFF:127.0.0.1", "::ffff:127.0.0.1"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"fe80:0:0:0:0:0:0:ffff", "fe80::ffff"},
  };

  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(printed(row.text) == row.expected);
    CHECK(IpAddress::is_canonical(row.expected));
    CHECK(IpAddress::is_canonical(row.text) == (row.text == row.expected));
  }
}

TEST_CASE("octets make an address of 4 or 16 and nothing else") {
  const Bytes sixteen(16, 0xab);
  CHECK(IpAddress::from_bytes(ByteView(sixteen))->v6);
  CHECK(IpAddress::from_bytes(ByteView(sixteen).first(4)) == IpAddress::v4(171, 171, 171, 171));
  for (const std::size_t size : {0U, 1U, 3U, 5U, 8U, 15U}) {
    CHECK_FALSE(IpAddress::from_bytes(ByteView(sixteen).first(size)));
  }
}

TEST_CASE("prefixes that say something other than they mean are refused") {
  for (const std::string_view text :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "/8", "10.0.0.0/8/8",
        "10.0.0.0/8 ", "10/8", "fe80::/129", "fe80::/1000", "fe80::%1/10", "a.test/8", ""}) {
    CAPTURE(text);
    REQUIRE_FALSE(IpPrefix::parse(text));
    CHECK(IpPrefix::parse(text).error().find("is not a prefix") != std::string::npos);
  }
  REQUIRE_FALSE(IpPrefix::parse("10.1.0.0/8"));
  CHECK(IpPrefix::parse("10.1.0.0/8").error() ==
        "\"10.1.0.0/8\" has bits set past its length: write 10.0.0.0/8 if that is meant");
}

TEST_CASE("a prefix holds its first and last address and neither neighbour") {
  const struct {
    std::string_view prefix, before, first, last, after;
  } rows[] = {
      {"10.0.0.0/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
      {"172.16.0.0/12", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
      {"192.0.2.7", "192.0.2.6", "192.0.2.7", "192.0.2.7", "192.0.2.8"},
      {"fc00::/7", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
       "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"},
      {"::1/128", "::", "::1", "::1", "::2"},
  };

  for (const auto& row : rows) {
    CAPTURE(row.prefix);
    const IpPrefix prefix = IpPrefix::parse(row.prefix).value();
    CHECK_FALSE(prefix.contains(IpAddress::parse(row.before).value()));
    CHECK(prefix.contains(IpAddress::parse(row.first).value()));
    CHECK(prefix.contains(IpAddress::parse(row.last).value()));
    CHECK_FALSE(prefix.contains(IpAddress::parse(row.after).value()));
  }
}

TEST_CASE("a prefix of length zero holds its own family only") {
  const IpPrefix all = IpPrefix::parse("0.0.0.0/0").value();
  CHECK(all.contains(IpAddress::v4(203, 0, 113, 9)));
  CHECK_FALSE(all.contains(IpAddress::parse("::").value()));
}

TEST_CASE("IPv4 addresses inside IPv6 ones are found") {
  using Texts = std::vector<std::string>;
  CHECK(embedded_in("127.0.0.1") == Texts{});
  CHECK(embedded_in("2001:db8::1") == Texts{});
  CHECK(embedded_in("::") == Texts{});
  CHECK(embedded_in("::1") == Texts{});
  CHECK(embedded_in("::ffff:127.0.0.1") == Texts{"127.0.0.1"});
  CHECK(embedded_in("::127.0.0.1") == Texts{"127.0.0.1"});
  CHECK(embedded_in("::2") == Texts{"0.0.0.2"});
  CHECK(embedded_in("::ffff:0:169.254.169.254") == Texts{"169.254.169.254"});
  CHECK(embedded_in("64:ff9b::10.0.0.1") == Texts{"10.0.0.1"});
  CHECK(embedded_in("2002:7f00:1::") == Texts{"127.0.0.1"});
  CHECK(embedded_in("2001:0:c000:201::80ff:fffe") == Texts{"192.0.2.1", "127.0.0.1"});
  // The layouts of RFC 6052 that a site may use below 64:ff9b:1::/48; padding is no address.
  CHECK(embedded_in("64:ff9b:1:a01:2:300::") == Texts{"10.1.2.3", "1.2.3.0", "2.3.0.0"});
  CHECK(embedded_in("64:ff9b:1::10.1.2.3") == Texts{"10.1.2.3"});
}

}  // namespace gatehouse
