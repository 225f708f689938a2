#include "bench/load/statistics.h"

#include <algorithm>
#include <cmath>

namespace gatehouse::bench {

float percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

}  // namespace gatehouse::bench
