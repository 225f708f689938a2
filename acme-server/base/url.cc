#include "acme-server/base/url.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"

namespace gatehouse {
namespace {

// Longer URLs fail in clients, proxies and browsers; nothing in ACME needs one.
constexpr std::size_t kMaxUrl = 2048;
// Of a host name and of one of its labels, RFC 1035 section 2.3.4.
constexpr std::size_t kMaxHost = 253;
constexpr std::size_t kMaxLabel = 63;

// No zone: it means something on one machine only.
bool is_ipv6(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address && address->v6;
}

bool is_host_name(std::string_view text) {
  return text.size() <= kMaxHost &&
         std::ranges::all_of(split(text, '.'), [](std::string_view label) {
           return !label.empty() && label.size() <= kMaxLabel &&
                  std::ranges::all_of(label, is_word_character);
         });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || text[0] == '0') {
    return std::nullopt;
  }
  return port;
}

// Fills host and port of `url` from "host", "host:port", "[v6]" or "[v6]:port".
bool parse_authority(std::string_view text, Url& url) {
  std::string_view host;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1))) {
      return false;
    }
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    host = text.substr(0, end);
    rest = text.substr(end);
    if (!is_host_name(host)) {
      return false;
    }
  }
  url.host = to_lower(host);
  if (rest.empty()) {
    return true;
  }
  if (!rest.starts_with(':')) {
    return false;
  }
  url.port = parse_port(rest.substr(1));
  return url.port.has_value();
}

// Every "%" is followed by two hexadecimal digits (RFC 3986 section 2.1).
bool is_percent_encoding_whole(std::string_view text) {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (at + 2 >= text.size() || !hex_digit(text[at + 1]) || !hex_digit(text[at + 2])) {
      return false;
    }
  }
  return true;
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" ? 443 : 80;
}

// RFC 3986 section 5.2.4 for a path that begins with "/".
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string> kept;
  const auto segments = split(path.substr(1), '/');
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool dots = segments[i] == "." || segments[i] == "..";
    if (segments[i] == ".." && !kept.empty()) {
      kept.pop_back();
    }
    if (!dots) {
      kept.emplace_back(segments[i]);
    } else if (i + 1 == segments.size()) {
      kept.emplace_back();  // "/a/.." is the folder "/", with its slash
    }
  }
  return "/" + join(kept, "/");
}

// Whether `reference` begins with a scheme, RFC 3986 section 3.1.
bool has_scheme(std::string_view reference) {
  const std::size_t colon = reference.find(':');
  if (colon == std::string_view::npos || colon == 0 || !is_letter(reference[0])) {
    return false;
  }
  return std::ranges::all_of(reference.substr(0, colon), [](char c) {
    return is_alphanumeric(c) || c == '+' || c == '-' || c == '.';
  });
}

std::optional<Url> without_dots(std::optional<Url> url) {
  if (url) {
    url->path = remove_dot_segments(url->path);
  }
  return url;
}

}  // namespace

std::uint16_t Url::effective_port() const {
  return port.value_or(default_port(scheme));
}

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port && *port != default_port(scheme)) {
    text += ":" + std::to_string(*port);
  }
  return text;
}

std::string Url::origin() const {
  return scheme + "://" + authority();
}

std::string Url::to_string() const {
  return origin() + path + (query.empty() ? "" : "?" + query);
}

std::optional<Url> parse_url(std::string_view text) {
  if (text.size() > kMaxUrl || !std::ranges::all_of(text, is_visible) ||
      text.find_first_of("\\#") != std::string_view::npos || !is_percent_encoding_whole(text)) {
    return std::nullopt;
  }
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  Url url;
  url.scheme = to_lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") {
    return std::nullopt;
  }
  text.remove_prefix(colon + 3);
  // Userinfo would stand in the authority; "@" is not a character of a host, so it is refused
  // there.
  const std::size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  if (!parse_authority(text.substr(0, authority_end), url)) {
    return std::nullopt;
  }
  text.remove_prefix(authority_end);
  const std::size_t question = text.find('?');
  url.path = text.substr(0, question);
  if (url.path.empty()) {
    url.path = "/";
  }
  if (question != std::string_view::npos) {
    url.query = text.substr(question + 1);
  }
  return url;
}

std::optional<Url> resolve_url(const Url& base, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  if (has_scheme(reference)) {
    return without_dots(parse_url(reference));
  }
  if (reference.starts_with("//")) {
    return without_dots(parse_url(base.scheme + ":" + std::string(reference)));
  }
  Url url = base;
  if (!reference.empty()) {
    const std::size_t question = std::min(reference.find('?'), reference.size());
    const std::string_view path = reference.substr(0, question);
    url.query = reference.substr(std::min(question + 1, reference.size()));
    if (path.starts_with('/')) {
      url.path = path;
    } else if (!path.empty()) {
      url.path = base.path.substr(0, base.path.rfind('/') + 1) + std::string(path);
    }
  }
  // Once more through the parser: what the reference brought has not been looked at yet.
  return without_dots(parse_url(url.to_string()));
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_word_character(c) || c == '.' || c == '~') {
      encoded.push_back(c);
    } else {
      const auto octet = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[octet >> 4], kDigits[octet & 0x0f]};
    }
  }
  return encoded;
}

}  // namespace gatehouse
