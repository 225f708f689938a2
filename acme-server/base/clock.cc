#include "acme-server/base/clock.h"

#include <chrono>

namespace gatehouse {

Instant SystemClock::now() const {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace gatehouse
