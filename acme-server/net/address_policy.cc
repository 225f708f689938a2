#include "acme-server/net/address_policy.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/ip_address.h"

namespace gatehouse::net {

namespace {

struct Range {
  std::string_view prefix;
  std::string_view what;  // "<address> is …"
};

// The IANA special-purpose address registries, without the private ranges; and of IPv6 all that is
// neither global unicast (2000::/3) nor unique local (fc00::/7).
constexpr Range kDenied[] = {
    {"0.0.0.0/8", "an address of \"this network\""},
    {"127.0.0.0/8", "a loopback address"},
    {"169.254.0.0/16", "a link-local address"},
    {"192.0.0.0/24", "reserved for protocols"},
    {"192.0.2.0/24", "a documentation address"},
    {"192.88.99.0/24", "a 6to4 relay address"},
    {"198.18.0.0/15", "a benchmarking address"},
    {"198.51.100.0/24", "a documentation address"},
    {"203.0.113.0/24", "a documentation address"},
    {"224.0.0.0/4", "a multicast address"},
    {"240.0.0.0/4", "a reserved address"},
    {"255.255.255.255/32", "the broadcast address"},
    {"::/3", "a reserved address"},
    {"::/128", "the unspecified address"},
    {"::1/128", "a loopback address"},
    {"::ffff:0:0/96", "an IPv4-mapped address"},
    {"64:ff9b::/96", "a NAT64 address"},
    {"64:ff9b:1::/48", "a NAT64 address"},
    {"100::/64", "a discard-only address"},
    {"2001::/23", "reserved for protocols"},
    {"2001:db8::/32", "a documentation address"},
    {"2002::/16", "a 6to4 address"},
    {"3fff::/20", "a documentation address"},
    {"4000::/2", "a reserved address"},
    {"8000::/2", "a reserved address"},
    {"c000::/3", "a reserved address"},
    {"e000::/4", "a reserved address"},
    {"f000::/5", "a reserved address"},
    {"f800::/6", "a reserved address"},
    {"fe00::/9", "a reserved address"},
    {"fe80::/10", "a link-local address"},
    {"fec0::/10", "a site-local address"},
    {"ff00::/8", "a multicast address"},
};

// Allowed, since an internal CA is for them, but nobody else's to look into.
constexpr Range kPrivate[] = {
    {"10.0.0.0/8", "a private address"},    {"100.64.0.0/10", "a private address"},
    {"172.16.0.0/12", "a private address"}, {"192.168.0.0/16", "a private address"},
    {"fc00::/7", "a private address"},
};

// They hand credentials of the machine to whoever asks from it. No profile gets at them.
constexpr Range kMetadata[] = {
    {"169.254.169.254", "AWS, Azure, Google Cloud, OpenStack"},
    {"169.254.170.2", "AWS containers"},
    {"169.254.170.23", "AWS containers"},
    {"100.100.100.200", "Alibaba Cloud"},
    {"168.63.129.16", "Azure"},
    {"192.0.0.192", "Oracle Cloud"},
    {"fd00:ec2::254", "AWS"},
    {"fd00:ec2::23", "AWS containers"},
    {"fd20:ce::254", "Google Cloud"},
};

// An ISATAP address is told by the interface identifier behind its prefix of 64 bits, so it is a
// range of 96 bits below every prefix.
constexpr int kIsatapLength = 96;

struct ParsedRange {
  IpPrefix prefix;
  std::string_view what;
};

template <std::size_t kSize>
std::vector<ParsedRange> parse_all(const Range (&table)[kSize]) {
  std::vector<ParsedRange> parsed;
  for (const Range& range : table)
    parsed.push_back({IpPrefix::parse(range.prefix).value(), range.what});
  return parsed;
}

const std::vector<ParsedRange>& denied_ranges() {
  static const std::vector<ParsedRange> kParsed = parse_all(kDenied);
  return kParsed;
}

const std::vector<ParsedRange>& metadata_services() {
  static const std::vector<ParsedRange> kParsed = parse_all(kMetadata);
  return kParsed;
}

const std::vector<ParsedRange>& private_ranges() {
  static const std::vector<ParsedRange> kParsed = parse_all(kPrivate);
  return kParsed;
}

// The length of the longest of `prefixes` that holds `address`, or -1.
int longest(const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
  int best = -1;
  for (const IpPrefix& prefix : prefixes) {
    if (prefix.contains(address)) best = std::max(best, prefix.length);
  }
  return best;
}

}  // namespace

bool is_global(const IpAddress& address) {
  const auto is_private = [](const IpAddress& one) {
    return std::ranges::any_of(
        private_ranges(), [&](const ParsedRange& range) { return range.prefix.contains(one); });
  };
  return !AddressPolicy().why_denied(address) && !is_private(address);
}

std::optional<std::string> AddressPolicy::why_denied(const IpAddress& address) const {
  const std::string text = address.to_string();
  for (const ParsedRange& service : metadata_services()) {
    if (service.prefix.contains(address)) return text + " is a cloud metadata service";
  }

  const int allowed = longest(profile_.allowed, address);
  const int denied = longest(profile_.denied, address);
  int special = -1;
  std::string_view what;
  for (const ParsedRange& range : denied_ranges()) {
    if (range.prefix.contains(address) && range.prefix.length > special) {
      special = range.prefix.length;
      what = range.what;
    }
  }
  if (is_isatap(address) && special < kIsatapLength) {
    special = kIsatapLength;
    what = "an ISATAP address";
  }
  if (denied >= 0 && denied >= allowed) return text + " is denied by the profile";
  if (special > allowed) return text + " is " + std::string(what);

  for (const IpAddress& inner : embedded_ipv4(address)) {
    if (const auto why = why_denied(inner)) return text + " carries an IPv4 address, and " + *why;
  }
  return std::nullopt;
}

}  // namespace gatehouse::net
