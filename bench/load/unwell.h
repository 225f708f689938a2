// Names that something is wrong with: what the responders do with them stands in their first label,
// and so does what must come of an order for one.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace gatehouse::bench {

enum class Unwell {
  late,     // each DNS answer comes late: the name is proved all the same
  lost,     // no DNS answer ever
  refused,  // an address that nobody listens at
  mute,     // an address that takes connections and says nothing
};

constexpr std::array<std::string_view, 4> kUnwellNames = {"late", "lost", "refused", "mute"};

// "late-c7-12.soak.test" is late.
constexpr bool is(std::string_view name, Unwell what) {
  const std::string_view label = kUnwellNames[static_cast<std::size_t>(what)];
  return name.size() > label.size() && name.starts_with(label) && name[label.size()] == '-';
}

}  // namespace gatehouse::bench
