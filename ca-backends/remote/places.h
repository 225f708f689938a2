// Places: at most so many requests to one CA side by side.
#pragma once

#include <chrono>
#include <memory>
#include <semaphore>

#include "acme-server/base/deadline.h"

namespace gatehouse::backends {

// Safe to call from many threads; outlives every place that it has given.
class Places final {
 public:
  // How long to wait before another try when there was no place.
  static constexpr std::chrono::seconds kPause{2};

  explicit Places(int count) : free_(count) {}

  struct GiveBack {
    void operator()(std::counting_semaphore<>* free) const { free->release(); }
  };

  // Given back when it goes.
  using Place = std::unique_ptr<std::counting_semaphore<>, GiveBack>;

  // Waits for a place, for a quarter of the time that is left: the rest belongs to the request.
  // Null when there is none.
  Place take(Deadline deadline) {
    constexpr int kShareOfWaiting = 4;
    return Place(free_.try_acquire_for(deadline.remaining() / kShareOfWaiting) ? &free_ : nullptr);
  }

 private:
  std::counting_semaphore<> free_;
};

}  // namespace gatehouse::backends
