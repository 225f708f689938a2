// ManualClock: time that moves when a test says so.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "acme-server/base/clock.h"

namespace gatehouse::testing {

// Where tests begin unless they say otherwise: 2026-06-01T12:00:00Z.
inline constexpr Instant kNoon{std::chrono::seconds(1'780'315'200)};

// Safe to call from any thread.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Instant start = kNoon) : seconds_(to_unix(start)) {}

  Instant now() const override { return from_unix(seconds_.load()); }

  void advance(std::chrono::seconds span) { seconds_ += span.count(); }

  // Backwards too: clocks do that.
  void set(Instant instant) { seconds_ = to_unix(instant); }

 private:
  std::atomic<std::int64_t> seconds_;
};

}  // namespace gatehouse::testing
