// A run's figures, for people and for scripts.
#pragma once

#include <cstddef>
#include <string>

#include "acme-server/base/json.h"
#include "bench/load/process_usage.h"
#include "bench/load/statistics.h"

namespace gatehouse::bench {

struct LoadReport {
  std::size_t clients = 0;
  double seconds = 0;
  bool stalled = false;
  Statistics statistics;
  Usage before, after;  // of the server
  double own_cpu_milliseconds = 0;
  std::size_t dns_questions = 0;
  std::size_t challenges_fetched = 0;
};

Json to_json(LoadReport& report);
std::string to_table(LoadReport& report);

}  // namespace gatehouse::bench
