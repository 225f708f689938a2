// What time it is, as the protocol and certificates say it: whole seconds UTC.
#pragma once

#include <chrono>
#include <cstdint>

namespace gatehouse {

// A point in time in whole Unix seconds: what RFC 8555 prints and the store keeps.
using Instant = std::chrono::sys_seconds;

inline std::int64_t to_unix(Instant instant) {
  return instant.time_since_epoch().count();
}

inline Instant from_unix(std::int64_t seconds) {
  return Instant(std::chrono::seconds(seconds));
}

// The only source of the time of day. Safe to call from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
};

// The machine's clock.
class SystemClock final : public Clock {
 public:
  Instant now() const override;
};

}  // namespace gatehouse
