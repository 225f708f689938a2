// What a reload can take over, and what needs a restart.
#pragma once

#include <optional>
#include <string>

#include "config/config.h"

namespace gatehouse::config {

// The name of the first option that differs between the two, as the file spells it, outside the
// policy and the lists of hosts and proxies; nothing when a running server can go from `before` to
// `after`.
std::optional<std::string> first_fixed_difference(const Config& before, const Config& after);

}  // namespace gatehouse::config
