// IP addresses and prefixes as values, parsed by hand: no resolver, no socket, no leniency.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"

namespace gatehouse {

// An IPv4 or IPv6 address in network order. IPv4 fills the first four octets; the others are zero.
struct IpAddress {
  std::array<std::uint8_t, 16> octets{};
  bool v6 = false;

  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
  // Takes 4 or 16 octets, as DNS answers and certificates carry them. Anything else is nothing.
  static std::optional<IpAddress> from_bytes(ByteView bytes);
  // IPv4: four decimal numbers without leading zeros, nothing shorter, no octal, no hex. IPv6: any
  // form of RFC 4291 section 2.2, without brackets and without a zone.
  static std::optional<IpAddress> parse(std::string_view text);
  // True when `text` is exactly what to_string() prints for the address it says (RFC 8738 section
  // 3).
  static bool is_canonical(std::string_view text);

  // 4 or 16 octets of this object.
  ByteView bytes() const { return {octets.data(), v6 ? octets.size() : 4}; }

  // Dotted decimal, or RFC 5952 (a mapped IPv4 address in its dotted form, section 5).
  std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

// All addresses that share their first `length` bits with `address`.
struct IpPrefix {
  IpAddress address;  // the bits past `length` are zero
  int length = 0;

  // "10.0.0.0/8", or a bare address for that address alone. Bits set past the length are refused:
  // such a rule says something other than it means. The error is a sentence that names the text.
  static Expected<IpPrefix, std::string> parse(std::string_view text);

  // An IPv4 prefix holds IPv4 addresses only, an IPv6 prefix IPv6 ones only: see embedded_ipv4().
  bool contains(const IpAddress& other) const;
  std::string to_string() const;

  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

// The IPv4 addresses that an IPv6 one may end up at: IPv4-mapped (::ffff:0:0/96), IPv4-compatible
// (::/96), translated
// (::ffff:0:0:0/96), NAT64 (64:ff9b::/96, and 64:ff9b:1::/48 in each layout of RFC 6052), 6to4
// (2002::/16), Teredo (2001::/32: its server, and its client, whose bits are inverted), ISATAP
// below any other prefix. Nothing for an IPv4 address.
std::vector<IpAddress> embedded_ipv4(const IpAddress& address);

// True for an IPv6 address whose interface identifier is ISATAP's: 0:5efe and an IPv4 address, with
// the universal and group bits in any state (RFC 5214 section 6.1). A router with an ISATAP
// interface sends such a packet to that IPv4 address.
bool is_isatap(const IpAddress& address);

}  // namespace gatehouse
