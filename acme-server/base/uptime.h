// Uptime: time that nobody sets. What the clock is held against.
#pragma once

#include <chrono>
#include <string>

namespace gatehouse {

// A moment since the machine was started. Two moments of different boots cannot be compared.
struct UptimeMoment {
  std::string boot;  // empty: not known, and equal to no other
  std::chrono::seconds since_boot{0};
};

// Whether their difference means something.
inline bool same_boot(const UptimeMoment& a, const UptimeMoment& b) {
  return !a.boot.empty() && a.boot == b.boot;
}

// Safe to call from any thread.
class Uptime {
 public:
  virtual ~Uptime() = default;
  virtual UptimeMoment now() const = 0;
};

// The machine's: CLOCK_BOOTTIME, which goes on while the machine sleeps, and the kernel's boot id.
class MachineUptime final : public Uptime {
 public:
  MachineUptime();
  UptimeMoment now() const override;

 private:
  std::string boot_;
};

}  // namespace gatehouse
