// ProcessMetrics: what Prometheus' own clients say of every process, read from /proc.
#pragma once

#include <filesystem>

#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"

namespace gatehouse {

// process_cpu_seconds_total, process_start_time_seconds, process_resident_memory_bytes,
// process_virtual_memory_bytes, process_open_fds and process_max_fds. Safe from any thread.
class ProcessMetrics final {
 public:
  // `metrics` outlives it. `proc` is for tests.
  explicit ProcessMetrics(Metrics& metrics, std::filesystem::path proc = "/proc");

  // Reads them anew. What cannot be read (no /proc, too few rights) stays as it was.
  void update();

 private:
  std::filesystem::path proc_;
  Counter cpu_seconds_;
  Gauge start_time_, resident_, virtual_, open_descriptors_, max_descriptors_;
  Guarded<double> cpu_seen_{0.0};  // what the counter has been given
};

}  // namespace gatehouse
