// What a reload can take over, and what needs a restart.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace gatehouse::config {

// The name of the first option that differs between the two, as the file spells it, outside the
// policy, the limits, the log's level and the lists of hosts and proxies; nothing when a running
// server can go from `before` to `after`.
std::optional<std::string> first_fixed_difference(const Config& before, const Config& after);

// The paths of what the two documents say differently, such as "log.level", an array as a whole;
// in the order of `before`, what only `after` has last. Paths alone: a value may be a secret.
std::vector<std::string> changes_between(const Config& before, const Config& after);

}  // namespace gatehouse::config
