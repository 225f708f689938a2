// ManualUptime: passes as a ManualClock does, until a test says that the clock was set.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "acme-server/base/uptime.h"
#include "tests/support/manual_clock.h"

namespace gatehouse::testing {

// Safe to call from any thread, but for reboot().
class ManualUptime final : public Uptime {
 public:
  explicit ManualUptime(ManualClock& clock) : clock_(clock), zero_(to_unix(clock.now())) {}

  UptimeMoment now() const override {
    return {.boot = "boot-" + std::to_string(boot_),
            .since_boot = std::chrono::seconds(to_unix(clock_.now()) - zero_)};
  }

  // The clock is set by `span`, and no time passes.
  void set_clock_by(std::chrono::seconds span) {
    zero_ += span.count();
    clock_.advance(span);
  }

  // The machine was started anew: what was measured before says nothing.
  void reboot() { ++boot_; }

 private:
  ManualClock& clock_;
  std::atomic<std::int64_t> zero_;
  int boot_ = 1;
};

}  // namespace gatehouse::testing
