// What a certificate is for: a DNS name or an IP address (RFC 8555 section 9.7.7, RFC 8738), always
// in canonical form.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include "acme-server/base/expected.h"

namespace gatehouse {

enum class IdentifierType { dns, ip };

// Canonical by construction when it comes from parse_identifier: lower case, A-labels, no trailing
// dot; IP text as RFC 5952 has it. A wildcard is a dns value that begins with "*.".
struct Identifier {
  IdentifierType type = IdentifierType::dns;
  std::string value;

  bool is_wildcard() const { return type == IdentifierType::dns && value.starts_with("*."); }

  // The name without "*.": what is proven, and what an authorization shows (RFC 8555 section
  // 7.1.4).
  Identifier base() const { return is_wildcard() ? Identifier{type, value.substr(2)} : *this; }

  // The wildcard of a dns name that is none. For what reads the two parts from outside; a value
  // here is kept as it was ordered.
  Identifier wildcard() const { return {type, "*." + value}; }

  friend auto operator<=>(const Identifier&, const Identifier&) = default;
};

// Why a text is no identifier: the problem type is unsupportedIdentifier, malformed or
// rejectedIdentifier.
struct IdentifierError {
  enum class Kind { unsupported_type, malformed, rejected };
  Kind kind = Kind::malformed;
  std::string detail;
};

// Reads the `type` and `value` that a client sent in newOrder. dns: case folded; letters, digits,
// hyphens; labels of 1..63 octets, 253 in all, at least two labels unless it is asked for otherwise
// by policy; A-labels that libidn2 decodes and encodes back to the same; no U-labels, no trailing
// dot, no IP text; "*." only as the whole leftmost label; nothing under in-addr.arpa or ip6.arpa.
// ip: canonical text only (RFC 8738 section 3), no zone.
Expected<Identifier, IdentifierError> parse_identifier(std::string_view type,
                                                       std::string_view value);

// The names of a CSR, folded to the same form: nothing for a text that is no name.
Expected<Identifier, IdentifierError> dns_identifier(std::string_view name);
Expected<Identifier, IdentifierError> ip_identifier(std::string_view address);

// "dns" or "ip".
std::string_view to_string(IdentifierType type);

inline constexpr std::size_t kMaxDnsNameLength = 253;  // RFC 1035 section 2.3.4, as text
inline constexpr std::size_t kMaxDnsLabelLength = 63;

}  // namespace gatehouse
