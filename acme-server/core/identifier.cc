#include "acme-server/core/identifier.h"

#include <idn2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"

namespace gatehouse {
namespace {

using Kind = IdentifierError::Kind;
using Result = Expected<Identifier, IdentifierError>;

constexpr std::size_t kSampleLength = 80;  // of a bad value, in a problem's detail

Unexpected<IdentifierError> fault(Kind kind, std::string_view value, std::string_view what) {
  std::string detail = "\"" + sanitize(value, kSampleLength) + "\" ";
  return Unexpected{IdentifierError{.kind = kind, .detail = detail.append(what)}};
}

bool is_ldh(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

// A last label that URL parsers take for a part of an IPv4 address: "1.2.3", "0x7f.1",
// "2130706433".
bool ends_like_ipv4(std::string_view last_label) {
  return std::ranges::all_of(last_label, is_digit) ||
         (last_label.starts_with("0x") && std::ranges::all_of(last_label.substr(2), [](char c) {
            return hex_digit(c).has_value();
          }));
}

using IdnText = std::unique_ptr<char, decltype(&idn2_free)>;

// RFC 8555 section 7.1.4: "Servers MUST verify any identifier values that begin with the
// ASCII-Compatible Encoding prefix "xn--" as defined in [RFC5890] are properly encoded." Properly:
// strict IDNA2008 without the mappings of UTS 46 takes what the label decodes to back to the same
// label.
bool is_a_label(const std::string& label) {
  char* decoded = nullptr;
  if (idn2_to_unicode_8z8z(label.c_str(), &decoded, 0) != IDN2_OK) {
    return false;
  }
  const IdnText unicode(decoded, &idn2_free);
  std::uint8_t* encoded = nullptr;
  if (idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(unicode.get()), &encoded,
                     IDN2_NO_TR46) != IDN2_OK) {
    return false;
  }
  const IdnText ascii(reinterpret_cast<char*>(encoded), &idn2_free);
  return label == ascii.get() && label != unicode.get();
}

// What is wrong with one label of a name, or nothing.
std::string_view why_no_label(const std::string& label) {
  if (label.empty()) {
    return "has an empty label: write the name without a dot at either end and without two in a "
           "row";
  }
  if (label.size() > kMaxDnsLabelLength) {
    return "has a label longer than 63 octets";
  }
  if (!std::ranges::all_of(label, is_ldh)) {
    return "has a character that is none of a-z, 0-9 and \"-\"; send internationalized names as "
           "A-labels (xn--)";
  }
  if (label.front() == '-' || label.back() == '-') {
    return "has a label that begins or ends with \"-\"";
  }
  if (label.starts_with("xn--")) {
    return is_a_label(label) ? "" : "has an xn-- label that is no A-label of IDNA2008 (RFC 5890)";
  }
  // RFC 5890 section 2.3.1: reserved for encodings to come.
  return std::string_view(label).substr(0, 4).ends_with("--") && label.size() >= 4
             ? "has a label with \"--\" in the third and fourth place"
             : "";
}

bool is_in_zone(std::string_view name, std::string_view zone) {
  return name == zone ||
         (name.ends_with(zone) && name.substr(0, name.size() - zone.size()).ends_with('.'));
}

}  // namespace

Result dns_identifier(std::string_view name) {
  if (name.empty()) {
    return fault(Kind::malformed, name, "is empty: send a DNS name");
  }
  if (name.size() > kMaxDnsNameLength) {
    return fault(Kind::malformed, name, "is longer than the 253 characters that DNS allows");
  }
  const std::string folded = to_lower(name);
  const bool wildcard = folded.starts_with("*.");
  const std::string_view base = std::string_view(folded).substr(wildcard ? 2 : 0);
  if (base.find('*') != std::string_view::npos) {
    return fault(Kind::malformed, name,
                 R"(has a "*" that is not the whole leftmost label of a name: write "*.name")");
  }
  if (IpAddress::parse(base)) {
    return fault(Kind::malformed, name, "is an IP address: order it with type \"ip\" (RFC 8738)");
  }
  const std::vector<std::string_view> labels = split(base, '.');
  for (const std::string_view label : labels) {
    if (const std::string_view why = why_no_label(std::string(label)); !why.empty()) {
      return fault(Kind::malformed, name, why);
    }
  }
  if (ends_like_ipv4(labels.back())) {
    return fault(Kind::malformed, name, "ends in a number, as IPv4 addresses do and names do not");
  }
  // CA/Browser Forum Baseline Requirements 4.2.2: reverse zones tell of addresses, not of hosts.
  if (is_in_zone(base, "in-addr.arpa") || is_in_zone(base, "ip6.arpa")) {
    return fault(
        Kind::rejected, name,
        "is in a zone for reverse look-ups: order the address with type \"ip\" (RFC 8738)");
  }
  return Identifier{.type = IdentifierType::dns, .value = folded};
}

Result ip_identifier(std::string_view address) {
  const std::optional<IpAddress> parsed = IpAddress::parse(address);
  if (!parsed) {
    return fault(Kind::malformed, address,
                 "is no IP address: write 192.0.2.1 or 2001:db8::1, without brackets or zone");
  }
  // RFC 8738 section 3: "the textual form of the address as defined in [RFC5952]".
  const std::string canonical = parsed->to_string();
  if (canonical != address) {
    return fault(Kind::malformed, address, "is not in canonical form: write " + canonical);
  }
  static const IpPrefix kMapped = IpPrefix::parse("::ffff:0:0/96").value();
  if (kMapped.contains(*parsed)) {
    return fault(
        Kind::rejected, address,
        "is an IPv4 address mapped into IPv6, which no host answers at: order the IPv4 address");
  }
  return Identifier{.type = IdentifierType::ip, .value = canonical};
}

Result parse_identifier(std::string_view type, std::string_view value) {
  if (type == to_string(IdentifierType::dns)) {
    return dns_identifier(value);
  }
  if (type == to_string(IdentifierType::ip)) {
    return ip_identifier(value);
  }
  return fault(Kind::unsupported_type, type,
               R"(is no identifier type of this server: it takes "dns" and "ip")");
}

std::string_view to_string(IdentifierType type) {
  switch (type) {
    case IdentifierType::dns:
      return "dns";
    case IdentifierType::ip:
      return "ip";
  }
  ACME_CHECK(false);
  return "";
}

}  // namespace gatehouse
