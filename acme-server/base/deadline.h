// Deadline: the moment by which a blocking call must be done, handed down to everything it calls.
#pragma once

#include <algorithm>
#include <chrono>

namespace gatehouse {

// A point on the steady clock. A value: copy it freely.
class Deadline {
 public:
  static Deadline in(std::chrono::milliseconds span) {
    return Deadline(std::chrono::steady_clock::now() + span);
  }

  // The earlier of this deadline and `span` from now: for one step of a longer call.
  Deadline at_most(std::chrono::milliseconds span) const {
    return Deadline(std::min(at_, std::chrono::steady_clock::now() + span));
  }

  bool expired() const { return std::chrono::steady_clock::now() >= at_; }

  // What is left, rounded up, never below zero: 0 exactly when expired.
  std::chrono::milliseconds remaining() const {
    return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(
                                                      at_ - std::chrono::steady_clock::now()));
  }

 private:
  explicit Deadline(std::chrono::steady_clock::time_point at) : at_(at) {}

  std::chrono::steady_clock::time_point at_;
};

}  // namespace gatehouse
