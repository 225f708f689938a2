// How many descriptors the process may open, and how many of them client connections get.
#pragma once

#include <cstddef>
#include <vector>

#include "acme-server/base/log.h"
#include "acme-server/http/http_options.h"
#include "config/config.h"

namespace gatehouse::app {

// What the process needs besides client connections: databases, the sockets of validation and
// issuance, listeners, loops, files. Rounded up.
std::size_t reserved_descriptors(const std::vector<config::Config>& configs);

// The limits of the first config, as far as `descriptors` (RLIMIT_NOFILE) goes: each listener may
// have its limits.connections at the same time, with reserved_descriptors() still free. Where they
// do not fit, each listener gets an equal share, an address its part of that, and the log says so:
// a server with fewer connections serves, one without descriptors fails in the middle of its work.
// Throws std::runtime_error, which names the limit to raise, when a share would be less than the
// config itself may ask for.
http::Limits fit_connections(const std::vector<config::Config>& configs, std::size_t descriptors,
                             Log& log);

}  // namespace gatehouse::app
