#include "acme-server/base/ip_address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"

namespace gatehouse {

namespace {

constexpr int kGroups = 8;  // of 16 bits, in an IPv6 address

using Groups = std::array<std::uint16_t, kGroups>;

// Reads a decimal number of at most three digits up to `max`, without leading zeros, off the front
// of `text`.
std::optional<int> take_decimal(std::string_view& text, int max) {
  std::size_t digits = 0;
  int value = 0;
  while (digits < text.size() && digits < 3 && is_digit(text[digits])) {
    value = value * 10 + (text[digits] - '0');
    ++digits;
  }
  if (digits == 0 || value > max || (digits > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

std::optional<std::array<std::uint8_t, 4>> parse_dotted(std::string_view text) {
  std::array<std::uint8_t, 4> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto value = take_decimal(text, 255);
    if (!value) return std::nullopt;
    octets[i] = static_cast<std::uint8_t>(*value);
  }
  if (!text.empty()) return std::nullopt;
  return octets;
}

// A run of groups on one side of "::", appended to `out`. The last may be dotted decimal where
// `dotted` allows it.
bool parse_groups(std::string_view text, bool dotted, std::vector<std::uint16_t>& out) {
  if (text.empty()) return true;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (colon == std::string_view::npos && dotted && group.find('.') != std::string_view::npos) {
      const auto octets = parse_dotted(group);
      if (!octets) return false;
      out.push_back(static_cast<std::uint16_t>((*octets)[0] << 8 | (*octets)[1]));
      out.push_back(static_cast<std::uint16_t>((*octets)[2] << 8 | (*octets)[3]));
      return true;
    }
    if (group.empty() || group.size() > 4) return false;
    unsigned value = 0;
    for (const char c : group) {
      const auto digit = hex_digit(c);
      if (!digit) return false;
      value = value * 16 + *digit;
    }
    out.push_back(static_cast<std::uint16_t>(value));
    if (colon == std::string_view::npos) return true;
    text.remove_prefix(colon + 1);
    if (text.empty()) return false;
  }
}

std::optional<Groups> parse_v6(std::string_view text) {
  constexpr std::size_t kLongest = 45;  // eight groups, the last two dotted decimal
  if (text.size() > kLongest) return std::nullopt;
  const std::size_t gap = text.find("::");
  const bool has_gap = gap != std::string_view::npos;
  std::vector<std::uint16_t> head;
  std::vector<std::uint16_t> tail;
  if (!parse_groups(text.substr(0, gap), !has_gap, head)) return std::nullopt;
  if (has_gap && !parse_groups(text.substr(gap + 2), true, tail)) return std::nullopt;
  const std::size_t written = head.size() + tail.size();
  if (has_gap ? written >= kGroups : written != kGroups) return std::nullopt;
  Groups groups{};
  std::ranges::copy(head, groups.begin());
  std::ranges::copy(tail, groups.end() - static_cast<std::ptrdiff_t>(tail.size()));
  return groups;
}

Groups groups_of(const IpAddress& address) {
  Groups groups{};
  for (std::size_t i = 0; i < kGroups; ++i) {
    groups[i] = static_cast<std::uint16_t>(address.octets[2 * i] << 8 | address.octets[2 * i + 1]);
  }
  return groups;
}

std::string print_dotted(std::span<const std::uint8_t> octets) {
  std::string text;
  for (const std::uint8_t octet : octets) {
    if (!text.empty()) text += '.';
    text += std::to_string(octet);
  }
  return text;
}

// The longest run of two or more zero groups, the first of equals: what "::" stands for (RFC 5952
// section 4.2).
struct Run {
  std::size_t begin = 0;
  std::size_t length = 0;
};

Run longest_zero_run(std::span<const std::uint16_t> groups) {
  Run best;
  for (std::size_t i = 0; i < groups.size();) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i > best.length) best = {.begin = i, .length = end - i};
    i = end + 1;
  }
  return best.length < 2 ? Run{} : best;
}

std::string print_groups(std::span<const std::uint16_t> groups) {
  const Run gap = longest_zero_run(groups);
  std::string text;
  for (std::size_t i = 0; i < groups.size();) {
    if (gap.length > 0 && i == gap.begin) {
      text += "::";
      i += gap.length;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 4> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), groups[i], 16).ptr;
    text.append(digits.data(), end);
    ++i;
  }
  return text;
}

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool begins_with(const IpAddress& address, std::span<const std::uint8_t> prefix) {
  return std::ranges::equal(prefix, std::span(address.octets).first(prefix.size()));
}

IpAddress v4_at(const IpAddress& address, std::array<std::size_t, 4> at) {
  return IpAddress::v4(address.octets[at[0]], address.octets[at[1]], address.octets[at[2]],
                       address.octets[at[3]]);
}

}  // namespace

IpAddress IpAddress::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  IpAddress address;
  address.octets = {a, b, c, d};
  return address;
}

std::optional<IpAddress> IpAddress::from_bytes(ByteView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  IpAddress address;
  address.v6 = bytes.size() == 16;
  std::ranges::copy(bytes, address.octets.begin());
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    const auto octets = parse_dotted(text);
    if (!octets) return std::nullopt;
    return from_bytes(*octets);
  }
  const auto groups = parse_v6(text);
  if (!groups) return std::nullopt;
  IpAddress address;
  address.v6 = true;
  for (std::size_t i = 0; i < kGroups; ++i) {
    address.octets[2 * i] = static_cast<std::uint8_t>((*groups)[i] >> 8);
    address.octets[2 * i + 1] = static_cast<std::uint8_t>((*groups)[i] & 0xff);
  }
  return address;
}

bool IpAddress::is_canonical(std::string_view text) {
  const auto address = parse(text);
  return address && address->to_string() == text;
}

std::string IpAddress::to_string() const {
  if (!v6) return print_dotted(bytes());
  if (begins_with(*this, kMappedPrefix)) return "::ffff:" + print_dotted(bytes().last(4));
  return print_groups(groups_of(*this));
}

Expected<IpPrefix, std::string> IpPrefix::parse(std::string_view text) {
  const std::string quoted = "\"" + std::string(text.substr(0, 64)) + "\"";
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    return Unexpected{quoted +
                      " is not a prefix: write an address, \"/\" and a length, as in 10.0.0.0/8"};
  }
  const int bits = address->v6 ? 128 : 32;
  IpPrefix prefix{.address = *address, .length = bits};
  if (slash != std::string_view::npos) {
    std::string_view rest = text.substr(slash + 1);
    const auto length = take_decimal(rest, bits);
    if (!length || !rest.empty()) {
      return Unexpected{quoted + " is not a prefix: its length must be 0.." + std::to_string(bits)};
    }
    prefix.length = *length;
  }
  for (int bit = prefix.length; bit < bits; ++bit) {
    auto& octet = prefix.address.octets[static_cast<std::size_t>(bit / 8)];
    octet = static_cast<std::uint8_t>(octet & ~(0x80 >> (bit % 8)));
  }
  if (prefix.address != *address) {
    return Unexpected{quoted + " has bits set past its length: write " + prefix.to_string() +
                      " if that is meant"};
  }
  return prefix;
}

bool IpPrefix::contains(const IpAddress& other) const {
  if (other.v6 != address.v6) return false;
  for (int bit = 0; bit < length; ++bit) {
    const auto at = static_cast<std::size_t>(bit / 8);
    const int mask = 0x80 >> (bit % 8);
    if (((address.octets[at] ^ other.octets[at]) & mask) != 0) return false;
  }
  return true;
}

std::string IpPrefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

std::vector<IpAddress> embedded_ipv4(const IpAddress& address) {
  constexpr std::array<std::uint8_t, 12> kCompatible = {};
  constexpr std::array<std::uint8_t, 12> kTranslated = {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0};
  constexpr std::array<std::uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b};
  constexpr std::array<std::uint8_t, 6> kLocalNat64 = {0, 0x64, 0xff, 0x9b, 0, 1};
  constexpr std::array<std::uint8_t, 2> k6to4 = {0x20, 0x02};
  constexpr std::array<std::uint8_t, 4> kTeredo = {0x20, 0x01, 0, 0};

  if (!address.v6) return {};
  // RFC 4291 section 2.5: "::" and "::1" are addresses of their own, not IPv4-compatible ones.
  constexpr std::array<std::uint8_t, 15> kUnspecifiedOrLoopback = {};
  if (begins_with(address, kUnspecifiedOrLoopback) && address.octets[15] <= 1) return {};
  if (begins_with(address, kMappedPrefix) || begins_with(address, kCompatible) ||
      begins_with(address, kTranslated) || begins_with(address, kNat64)) {
    return {v4_at(address, {12, 13, 14, 15})};
  }
  if (begins_with(address, kLocalNat64)) {
    // RFC 8215 leaves the prefix length to the site: /48, /56, /64 or /96 of RFC 6052 section 2.2,
    // octet 8 unused. What would be in 0.0.0.0/8 is the padding of another layout: no translator
    // sends anything there.
    std::vector<IpAddress> candidates = {
        v4_at(address, {6, 7, 9, 10}), v4_at(address, {7, 9, 10, 11}),
        v4_at(address, {9, 10, 11, 12}), v4_at(address, {12, 13, 14, 15})};
    std::erase_if(candidates, [](const IpAddress& candidate) { return candidate.octets[0] == 0; });
    return candidates;
  }
  if (begins_with(address, k6to4)) return {v4_at(address, {2, 3, 4, 5})};
  if (begins_with(address, kTeredo)) {
    const IpAddress client =
        v4_at(address, {12, 13, 14, 15});  // RFC 4380 section 4: obfuscated by inversion
    return {v4_at(address, {4, 5, 6, 7}),
            IpAddress::v4(static_cast<std::uint8_t>(~client.octets[0]),
                          static_cast<std::uint8_t>(~client.octets[1]),
                          static_cast<std::uint8_t>(~client.octets[2]),
                          static_cast<std::uint8_t>(~client.octets[3]))};
  }
  if (is_isatap(address)) return {v4_at(address, {12, 13, 14, 15})};
  return {};
}

bool is_isatap(const IpAddress& address) {
  constexpr unsigned kUniversalOrGroup = 0x03;
  const auto& octets = address.octets;
  return address.v6 && (octets[8] & ~kUniversalOrGroup) == 0 && octets[9] == 0 &&
         octets[10] == 0x5e && octets[11] == 0xfe;
}

}  // namespace gatehouse
