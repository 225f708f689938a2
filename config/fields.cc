#include "config/fields.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/duration.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"

namespace gatehouse::config {

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kLargestCount =
    1'000'000'000;  // of seconds: far from overflow in milliseconds
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
