// What processes use, from /proc.
#pragma once

#include <cstddef>
#include <vector>

namespace gatehouse::bench {

struct Usage {
  double cpu_milliseconds = 0;     // user and system, of all of them
  double user_milliseconds = 0;    // the user's part
  double system_milliseconds = 0;  // the kernel's
  std::size_t rss_kib = 0;         // VmRSS, summed
  std::size_t peak_kib = 0;        // VmHWM, summed
  std::size_t processes = 0;
};

// Of `pids` with all their descendants, those that have ended and been waited for included.
Usage usage_of(const std::vector<int>& pids);

}  // namespace gatehouse::bench
