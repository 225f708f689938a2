// Crash points: the moments of the code at which a test kills the process, by name.
//
// A name stands in one place of the product, and tests/restart finds it there and dies at it.
// Nothing that an operator or a client can say sets one off: what happens at a point is decided
// when a program is linked. The server defines nothing to happen, the address below is null then,
// and all that is left of a point is that comparison. Safe to pass from any thread.
#pragma once

#include <string_view>

namespace gatehouse {

// Defined by tests/restart/restart_server.cc alone. Hidden: no library that is loaded later can
// bring one.
[[gnu::weak, gnu::visibility("hidden")]] void on_crash_point(std::string_view name) noexcept;

inline void crash_point(std::string_view name) noexcept {
  if (&on_crash_point != nullptr) {
    on_crash_point(name);
  }
}

}  // namespace gatehouse
