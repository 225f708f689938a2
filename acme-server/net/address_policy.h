// AddressPolicy: which addresses validation may connect to (RFC 8555 section 10.4: the server is
// told where to connect).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/ip_address.h"

namespace gatehouse::net {

// A profile's own rules, which stand beside the built-in ones: see AddressPolicy.
struct AddressPolicyOptions {
  std::vector<IpPrefix> allowed;
  std::vector<IpPrefix> denied;

  friend bool operator==(const AddressPolicyOptions&, const AddressPolicyOptions&) = default;
};

// Whether anybody on the internet can reach `address`: it is neither private (RFC 1918, RFC 4193,
// RFC 6598) nor denied by what is built in, and carries no IPv4 address that is. What another
// address says is not told to clients, who may have chosen whom validation asks: by a redirect, by
// an address record.
bool is_global(const IpAddress& address);

// Made for an internal CA: what is not denied is allowed, private ranges (RFC 1918, RFC 4193, RFC
// 6598) too. Built in, denied: loopback, link-local, multicast, unspecified, broadcast,
// documentation, benchmarking, reserved, the prefixes that carry an IPv4 address, and ISATAP below
// any prefix, which counts as a rule of 96 bits. The longest
// prefix that holds an address decides, as in a routing table; of equals, a profile's denial comes
// before its allowance and that before what is built in. So "0.0.0.0/0" allows no loopback,
// "127.0.0.0/8" does. Cloud metadata services stay denied whatever a profile says.
class AddressPolicy {
 public:
  AddressPolicy() = default;

  explicit AddressPolicy(AddressPolicyOptions options) : profile_(std::move(options)) {}

  // Nothing when `address` may be connected to, else why not: "127.0.0.1 is a loopback address". An
  // IPv6 address that carries an IPv4 one must pass in both forms.
  std::optional<std::string> why_denied(const IpAddress& address) const;

 private:
  AddressPolicyOptions profile_;
};

}  // namespace gatehouse::net
