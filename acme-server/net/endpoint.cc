#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::net {

namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

Expected<Endpoint, std::string> Endpoint::parse(std::string_view text,
                                                std::optional<std::uint16_t> default_port) {
  const Unexpected refusal{"\"" + std::string(text.substr(0, 64)) +
                           "\" is not an address and port: write 192.0.2.1:53 or [2001:db8::1]:53"};
  if (default_port) {
    if (const auto bare = IpAddress::parse(text)) return Endpoint{*bare, *default_port};
  }
  std::string_view host = text;
  std::optional<std::uint16_t> port = default_port;
  const bool bracketed = text.starts_with('[');
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && (!bracketed || (colon > 0 && text[colon - 1] == ']'))) {
    host = text.substr(0, colon);
    port = parse_port(text.substr(colon + 1));
  }
  if (bracketed) {
    if (!host.ends_with(']')) return refusal;
    host = host.substr(1, host.size() - 2);
  }
  const auto address = IpAddress::parse(host);
  if (!address || !port || address->v6 != bracketed) return refusal;
  return Endpoint{*address, *port};
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace gatehouse::net
