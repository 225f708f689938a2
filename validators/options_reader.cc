#include "validators/options_reader.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse::validators {

namespace {

constexpr std::size_t kMaxPorts = 32;
constexpr std::size_t kMaxHeaderText = 200;
constexpr std::int64_t kMaxTimeout = 100;

std::uint16_t port_of(const Json& value, const std::string& path) {
  const bool fits = value.is_number_integer() && value >= 1 && value <= 65535;
  if (!fits) {
    const std::string shown = value.is_number() ? print_json(value) : "this";
    throw JsonError(path + ": " + shown + " is not a port (1..65535)");
  }
  return value.get<std::uint16_t>();
}

}  // namespace

std::optional<std::uint16_t> read_port(const JsonObject& json, std::string_view name) {
  if (!json.has(name)) return std::nullopt;
  return port_of(*json.find(name), json.path_of(name));
}

std::vector<std::uint16_t> read_ports(const JsonObject& json, std::string_view name) {
  std::vector<std::uint16_t> ports;
  const Json* values = json.optional_array(name);
  if (values == nullptr) return ports;
  const std::string path = json.path_of(name);
  if (values->size() > kMaxPorts)
    throw JsonError(path + ": more than " + std::to_string(kMaxPorts) + " ports");
  for (const Json& value : *values) {
    ports.push_back(port_of(value, path + "[" + std::to_string(ports.size()) + "]"));
  }
  return ports;
}

std::optional<std::chrono::seconds> read_timeout(const JsonObject& json) {
  const auto timeout = json.optional_integer("timeout_seconds", 1, kMaxTimeout);
  if (!timeout) return std::nullopt;
  return std::chrono::seconds(*timeout);
}

std::optional<std::string> read_header_text(const JsonObject& json, std::string_view name) {
  auto text = json.optional_string(name, kMaxHeaderText);
  if (!text) return std::nullopt;
  const bool visible = std::ranges::all_of(*text, [](char c) { return c >= ' ' && c <= '~'; });
  if (!visible || text->empty() || text->front() == ' ' || text->back() == ' ') {
    throw JsonError(json.path_of(name) +
                    ": only visible ASCII and blanks between, since it becomes an HTTP header");
  }
  return text;
}

}  // namespace gatehouse::validators
