#include "acme-server/base/duration.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace gatehouse {

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
// Of any unit: far from overflow in milliseconds.
constexpr std::int64_t kLargestCount = 1'000'000'000;

}  // namespace

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

}  // namespace gatehouse
