// Readers of the config's fields: each leaves its target alone when the field is absent, and throws
// JsonError naming the field's path and what it must be when it is wrong.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"

namespace gatehouse::config {

void read_field(const JsonObject& object, std::string_view name, std::string& target);
void read_field(const JsonObject& object, std::string_view name, bool& target);
void read_field(const JsonObject& object, std::string_view name, std::vector<std::string>& target);
// "10.0.0.0/8", or an address for itself alone.
void read_field(const JsonObject& object, std::string_view name, std::vector<IpPrefix>& target);

// An integer in min..max.
template <class Number>
void read_number(const JsonObject& object, std::string_view name, Number& target, std::int64_t min,
                 std::int64_t max) {
  if (const auto value = object.optional_integer(name, min, max))
    target = static_cast<Number>(*value);
}

// "1..65535 is a port".
void read_port(const JsonObject& object, std::string_view name, std::uint16_t& target);

inline constexpr std::chrono::hours kDay{24};

// A duration as base/duration.h reads it, or a whole number of seconds.
std::optional<std::chrono::milliseconds> optional_duration(const JsonObject& object,
                                                           std::string_view name,
                                                           std::chrono::milliseconds min,
                                                           std::chrono::milliseconds max);

template <class Duration>
void read_duration(const JsonObject& object, std::string_view name, Duration& target,
                   std::chrono::milliseconds min, std::chrono::milliseconds max) {
  if (const auto span = optional_duration(object, name, min, max)) {
    target = std::chrono::duration_cast<Duration>(*span);
  }
}

// One of a few words; `words` and `values` side by side.
template <class Enum>
struct Word {
  std::string_view text;
  Enum value;
};

[[noreturn]] void throw_not_a_word(const JsonObject& object, std::string_view name,
                                   std::string_view given,
                                   const std::vector<std::string_view>& words);

template <class Enum>
void read_word(const JsonObject& object, std::string_view name, Enum& target,
               std::initializer_list<Word<Enum>> words) {
  const auto given = object.optional_string(name);
  if (!given) return;
  std::vector<std::string_view> known;
  for (const auto& word : words) {
    if (word.text == *given) {
      target = word.value;
      return;
    }
    known.push_back(word.text);
  }
  throw_not_a_word(object, name, *given, known);
}

// Throws JsonError: "<path>: <what>".
[[noreturn]] void refuse(const JsonObject& object, std::string_view name, const std::string& what);

}  // namespace gatehouse::config
