#include "acme-server/net/address_policy.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/support/prefixes.h"

namespace gatehouse::net {

namespace {

bool allows(const AddressPolicy& policy, std::string_view text) {
  return !policy.why_denied(IpAddress::parse(text).value());
}

// The last address of a prefix, and one in its middle.
IpAddress with_host_bits(const IpPrefix& prefix, int from) {
  IpAddress address = prefix.address;
  const int bits = address.v6 ? 128 : 32;
  for (int bit = from; bit < bits; ++bit) {
    auto& octet = address.octets[static_cast<std::size_t>(bit / 8)];
    octet = static_cast<std::uint8_t>(octet | (0x80 >> (bit % 8)));
  }
  return address;
}

}  // namespace

TEST_CASE("no address of a special-purpose prefix may be connected to") {
  // The IANA IPv4 and IPv6 special-purpose address registries, and what the unicast space leaves
  // out.
  const AddressPolicy policy;
  for (const std::string_view text :
       {"0.0.0.0/8",      "127.0.0.0/8",     "169.254.0.0/16",  "192.0.0.0/24",   "192.0.2.0/24",
        "192.88.99.0/24", "198.18.0.0/15",   "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
        "240.0.0.0/4",    "255.255.255.255", "::/128",          "::1/128",        "::/96",
        "::ffff:0:0/96",  "::ffff:0:0:0/96", "64:ff9b::/96",    "64:ff9b:1::/48", "100::/64",
        "100:0:0:1::/64", "2001::/23",       "2001::/32",       "2001:2::/48",    "2001:10::/28",
        "2001:20::/28",   "2001:db8::/32",   "2002::/16",       "3fff::/20",      "4000::/3",
        "5f00::/16",      "6000::/3",        "8000::/3",        "a000::/3",       "c000::/3",
        "e000::/4",       "f000::/5",        "f800::/6",        "fe00::/9",       "fe80::/10",
        "fec0::/10",      "ff00::/8"}) {
    const IpPrefix prefix = IpPrefix::parse(text).value();
    const int bits = prefix.address.v6 ? 128 : 32;
    for (const IpAddress& address :
         {prefix.address, with_host_bits(prefix, (prefix.length + bits) / 2),
          with_host_bits(prefix, prefix.length)}) {
      CAPTURE(text);
      CAPTURE(address.to_string());
      CHECK(policy.why_denied(address));
    }
  }
}

TEST_CASE("public and private addresses next to the special ones may be connected to") {
  const AddressPolicy policy;
  for (const std::string_view text :
       {"1.0.0.0",         "9.255.255.255",   "10.0.0.0",        "10.255.255.255",
        "100.64.0.1",      "126.255.255.255", "128.0.0.0",       "169.253.255.255",
        "169.255.0.0",     "172.16.0.1",      "192.0.1.0",       "192.0.1.255",
        "192.0.3.0",       "192.168.255.255", "198.17.255.255",  "198.20.0.0",
        "203.0.112.255",   "203.0.114.0",     "223.255.255.255", "2000::",
        "2001:200::1",     "2001:db7:ffff::", "2001:db9::",      "2003::1",
        "2606:4700::1111", "3ffe::1",         "fc00::1",         "fd12:3456::1",
        "fdff:ffff::1"}) {
    CAPTURE(text);
    CHECK(allows(policy, text));
  }
}

TEST_CASE("an ISATAP address is refused below any prefix (RFC 5214 section 6.1)") {
  const AddressPolicy policy;
  for (const std::string_view text :
       {"2606:4700::5efe:8.8.8.8", "2606:4700::200:5efe:8.8.8.8", "fd00::5efe:10.0.0.1",
        "fd00:1:2:3:200:5efe:10.0.0.1", "2606:4700::100:5efe:8.8.8.8",
        "2606:4700::300:5efe:8.8.8.8"}) {
    CAPTURE(text);
    const auto why = policy.why_denied(IpAddress::parse(text).value());
    CHECK(why.value_or("").ends_with("is an ISATAP address"));
  }
  CHECK(allows(policy, "2606:4700::400:5efe:808:808"));
  CHECK(allows(policy, "2606:4700::5eff:808:808"));
  CHECK(allows(policy, "2606:4700::5efe"));
}

TEST_CASE("a profile opens ISATAP by a prefix that holds the interface identifier") {
  const AddressPolicy wide({.allowed = testing::prefixes({"fd00:1::/64"}), .denied = {}});
  CHECK(allows(wide, "fd00:1::1"));
  CHECK_FALSE(allows(wide, "fd00:1::5efe:10.0.0.1"));
  const AddressPolicy exact({.allowed = testing::prefixes({"fd00:1::5efe:0:0/96"}),
                             .denied = testing::prefixes({"10.9.0.0/16"})});
  CHECK(allows(exact, "fd00:1::5efe:10.0.0.1"));
  CHECK_FALSE(allows(exact, "fd00:1::5efe:10.9.0.1"));
  CHECK_FALSE(allows(exact, "fd00:1::5efe:127.0.0.1"));
}

TEST_CASE("an address is global when anybody can reach it, in every form that it has") {
  for (const std::string_view text :
       {"8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.0.1", "192.169.0.1", "2606:4700::1111", "2003::1"}) {
    CAPTURE(text);
    CHECK(is_global(IpAddress::parse(text).value()));
  }
  for (const std::string_view text : {"10.0.0.0",
                                      "10.255.255.255",
                                      "100.64.0.0",
                                      "100.127.255.255",
                                      "172.16.0.0",
                                      "172.31.255.255",
                                      "192.168.0.0",
                                      "192.168.255.255",
                                      "fc00::",
                                      "fdff:ffff::1",
                                      "127.0.0.1",
                                      "::1",
                                      "169.254.169.254",
                                      "fe80::1",
                                      "fec0::1",
                                      "::ffff:10.0.0.1",
                                      "64:ff9b::8.8.8.8",
                                      "2002:808:808::1",
                                      "2606:4700::5efe:8.8.8.8",
                                      "203.0.113.1",
                                      "0.0.0.0",
                                      "224.0.0.1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_global(IpAddress::parse(text).value()));
  }
}

TEST_CASE("the reason names the address and what it is") {
  const AddressPolicy policy(
      {.allowed = testing::prefixes({"2002::/16"}), .denied = testing::prefixes({"10.9.0.0/16"})});
  const auto why = [&](std::string_view text) {
    return policy.why_denied(IpAddress::parse(text).value()).value_or("(allowed)");
  };
  CHECK(why("127.0.0.1") == "127.0.0.1 is a loopback address");
  CHECK(why("::1") == "::1 is a loopback address");
  CHECK(why("fe80::1") == "fe80::1 is a link-local address");
  CHECK(why("169.254.169.254") == "169.254.169.254 is a cloud metadata service");
  CHECK(why("10.9.1.1") == "10.9.1.1 is denied by the profile");
  CHECK(why("2002:7f00:1::") ==
        "2002:7f00:1:: carries an IPv4 address, and 127.0.0.1 is a loopback address");
}

TEST_CASE("loopback is opened by a prefix that names it and by no wider one") {
  CHECK_FALSE(
      allows(AddressPolicy({.allowed = testing::prefixes({"0.0.0.0/0", "::/0"}), .denied = {}}),
             "127.0.0.1"));
  CHECK_FALSE(allows(
      AddressPolicy({.allowed = testing::prefixes({"0.0.0.0/0", "::/0"}), .denied = {}}), "::1"));
  CHECK_FALSE(allows(AddressPolicy({.allowed = testing::prefixes({"126.0.0.0/7"}), .denied = {}}),
                     "127.0.0.1"));
  CHECK_FALSE(allows(AddressPolicy({.allowed = testing::prefixes({"127.0.0.2"}), .denied = {}}),
                     "127.0.0.1"));
  CHECK_FALSE(
      allows(AddressPolicy({.allowed = testing::prefixes({"127.0.0.0/8"}), .denied = {}}), "::1"));
  CHECK(allows(AddressPolicy({.allowed = testing::prefixes({"127.0.0.0/8"}), .denied = {}}),
               "127.0.0.1"));
  CHECK(allows(AddressPolicy({.allowed = testing::prefixes({"127.0.0.1"}), .denied = {}}),
               "127.0.0.1"));
  CHECK(allows(AddressPolicy({.allowed = testing::prefixes({"::1"}), .denied = {}}), "::1"));
}

TEST_CASE("cloud metadata stays closed whatever the profile says, in every spelling") {
  const AddressPolicy policy(
      {.allowed =
           testing::prefixes({"169.254.0.0/16", "169.254.169.254", "169.254.170.2", "fd00:ec2::254",
                              "fd00::/8", "100.100.100.200", "168.63.129.16", "::ffff:0:0/96",
                              "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"}),
       .denied = {}});
  for (const std::string_view text :
       {"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254",
        "fd20:ce::254", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1", "2001:0:808:808::5601:5601"}) {
    CAPTURE(text);
    CHECK_FALSE(allows(policy, text));
  }
  CHECK(allows(policy, "169.254.1.1"));
  CHECK(allows(policy, "fd00:ec2::253"));
}

TEST_CASE("an address that carries an IPv4 one must pass in both forms") {
  const AddressPolicy policy(
      {.allowed = testing::prefixes({"64:ff9b::/96", "2002::/16", "::ffff:0:0/96", "2001::/32"}),
       .denied = testing::prefixes({"10.0.0.0/8"})});
  CHECK(allows(policy, "64:ff9b::8.8.8.8"));
  CHECK(allows(policy, "64:ff9b::192.168.1.1"));
  CHECK(allows(policy, "2002:808:808::1"));
  CHECK(allows(policy, "::ffff:8.8.8.8"));
  for (const std::string_view text : {"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::",
                                      "2002:a00:1::", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
                                      "2001:0:808:808::80ff:fffe", "2001:0:7f00:1::f7f7:f7f7"}) {
    CAPTURE(text);
    CHECK_FALSE(allows(policy, text));
  }
  CHECK_FALSE(allows(AddressPolicy(), "64:ff9b::8.8.8.8"));
}

TEST_CASE("the longest prefix decides, and of equals the denial") {
  const AddressPolicy only_ten({.allowed = testing::prefixes({"10.0.0.0/8"}),
                                .denied = testing::prefixes({"0.0.0.0/0", "::/0"})});
  CHECK(allows(only_ten, "10.1.2.3"));
  CHECK_FALSE(allows(only_ten, "192.168.1.1"));
  CHECK_FALSE(allows(only_ten, "8.8.8.8"));
  CHECK_FALSE(allows(only_ten, "fd00::1"));
  CHECK_FALSE(allows(only_ten, "2606:4700::1111"));

  const AddressPolicy but_one({.allowed = {}, .denied = testing::prefixes({"10.0.0.5"})});
  CHECK_FALSE(allows(but_one, "10.0.0.5"));
  CHECK(allows(but_one, "10.0.0.6"));

  CHECK_FALSE(allows(AddressPolicy({.allowed = testing::prefixes({"10.0.0.0/8"}),
                                    .denied = testing::prefixes({"10.0.0.0/8"})}),
                     "10.0.0.1"));
}

}  // namespace gatehouse::net
