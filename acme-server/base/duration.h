// Durations as people write them: "90d", "12h", "500ms".
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

// A whole number and d, h, m, s or ms. Nothing for any other text.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// In the largest unit that divides it: "90d", "36h", "0s". parse_duration() reads it back.
std::string print_duration(std::chrono::milliseconds span);

}  // namespace gatehouse
