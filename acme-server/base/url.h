// An http or https URL in parts, RFC 3986.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

struct Url {
  std::string scheme;                 // "http" or "https", lower case
  std::string host;                   // lower case; an IPv6 address without its brackets
  std::optional<std::uint16_t> port;  // as written; none when absent
  std::string path;   // begins with "/", percent-encoding untouched; "/" when absent
  std::string query;  // without "?"

  friend bool operator==(const Url&, const Url&) = default;

  // The port written, or the scheme's own.
  std::uint16_t effective_port() const;
  // host or host:port as a Host header carries it: brackets round IPv6, no port that is the
  // scheme's own.
  std::string authority() const;
  // scheme://authority: what a URL of the same server begins with.
  std::string origin() const;
  std::string to_string() const;
};

// Strict: http and https only, no userinfo, no fragment, visible ASCII only, no backslash, each "%"
// before two hexadecimal digits, port 1..65535 without leading zeros, a host of labels of letters,
// digits, "-" and "_" with dots between them and none at the end, or an IP literal. At most 2,048
// characters.
std::optional<Url> parse_url(std::string_view text);

// Resolves `reference` (absolute, //host, /path, relative or ?query) against `base`, RFC 3986
// section 5.2, dropping a fragment. For the Location of a redirect.
std::optional<Url> resolve_url(const Url& base, std::string_view reference);

// Every octet but RFC 3986's unreserved ones as %XX.
std::string percent_encode(std::string_view text);

}  // namespace gatehouse
