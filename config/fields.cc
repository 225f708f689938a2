#include "config/fields.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"

namespace gatehouse::config {

namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  milliseconds length;
};

// Longest first: what a duration prints in is the first that divides it.
constexpr std::array<Unit, 5> kUnits = {{{"d", std::chrono::hours(24)},
                                         {"h", std::chrono::hours(1)},
                                         {"m", std::chrono::minutes(1)},
                                         {"s", std::chrono::seconds(1)},
                                         {"ms", milliseconds(1)}}};
constexpr std::int64_t kLargestCount =
    1'000'000'000;  // of any unit: far from overflow in milliseconds
constexpr std::size_t kSample = 40;

// A value as its author sees it in the file: text in its quotes, with no escapes of ours around
// them.
std::string as_given(const Json& value) {
  if (!value.is_string()) return sanitize(print_json(value), kSample);
  return '"' + sanitize(value.get_ref<const std::string&>(), kSample) + '"';
}

}  // namespace

void refuse(const JsonObject& object, std::string_view name, const std::string& what) {
  throw JsonError(object.path_of(name) + ": " + what);
}

void read_field(const JsonObject& object, std::string_view name, std::string& target) {
  if (auto value = object.optional_string(name)) target = std::move(*value);
}

void read_field(const JsonObject& object, std::string_view name, bool& target) {
  if (const auto value = object.optional_bool(name)) target = *value;
}

void read_field(const JsonObject& object, std::string_view name, std::vector<std::string>& target) {
  if (auto value = object.optional_strings(name)) target = std::move(*value);
}

void read_field(const JsonObject& object, std::string_view name, std::vector<IpPrefix>& target) {
  const auto texts = object.optional_strings(name);
  if (!texts) return;
  target.clear();
  for (const std::string& text : *texts) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) refuse(object, name, prefix.error());
    target.push_back(*prefix);
  }
}

void read_port(const JsonObject& object, std::string_view name, std::uint16_t& target) {
  const Json* value = object.find(name);
  if (value == nullptr || value->is_null()) return;
  if (!value->is_number_integer() || *value < 1 || *value > 65535) {
    refuse(object, name, as_given(*value) + " is not a port (1..65535)");
  }
  target = value->get<std::uint16_t>();
}

std::optional<milliseconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count < 0 || count > kLargestCount) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : kUnits) {
    if (unit == known.name) return count * known.length;
  }
  return std::nullopt;
}

std::string print_duration(milliseconds span) {
  for (const Unit& unit : kUnits) {
    if (span >= unit.length && span % unit.length == milliseconds(0)) {
      return std::to_string(span / unit.length) + std::string(unit.name);
    }
  }
  return "0s";
}

std::optional<milliseconds> optional_duration(const JsonObject& object, std::string_view name,
                                              milliseconds min, milliseconds max) {
  const Json* value = object.find(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  std::optional<milliseconds> span;
  if (value->is_string()) {
    span = parse_duration(value->get_ref<const std::string&>());
  } else if (value->is_number_integer() && *value >= 0 && *value <= kLargestCount) {
    span = std::chrono::seconds(value->get<std::int64_t>());
  }
  const std::string given = as_given(*value);
  if (!span) {
    refuse(object, name,
           given + " is not a duration: write a number and d, h, m, s or ms, such as \"90d\"");
  }
  if (*span < min || *span > max) {
    refuse(object, name,
           given + " is out of range (" + print_duration(min) + ".." + print_duration(max) + ")");
  }
  return span;
}

void throw_not_a_word(const JsonObject& object, std::string_view name, std::string_view given,
                      const std::vector<std::string_view>& words) {
  std::string known;
  for (const std::string_view word : words) {
    if (!known.empty()) known += ", ";
    known += word;
  }
  refuse(object, name, "\"" + sanitize(given, 40) + "\" is none of: " + known);
}

}  // namespace gatehouse::config
