#include "acme-server/app/server/descriptor_budget.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/base/log.h"
#include "acme-server/http/http_options.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

constexpr std::size_t kMinConnections = 16;  // as limits.connections itself

// Standard streams, the service manager, files that are read or written for a moment, a signer's
// pipe, a backup's copy.
constexpr std::size_t kProcess = 64;
constexpr std::size_t kLoop = 3;       // epoll, timer, wake-up
constexpr std::size_t kJobThread = 4;  // a connection, and sockets of a DNS question
constexpr std::size_t kListener =
    65;  // itself, and what it accepts in one turn before idle ones are closed
constexpr std::size_t kStoreConnection = 3;  // database, journal, shared memory
constexpr std::size_t kStoreBesides = 4;     // connections that write, check and back up

std::size_t listeners_of(const std::vector<config::Config>& configs) {
  std::size_t count = 0;
  for (const config::Config& config : configs) {
    count += config.acme.size() + config.public_files.size() + config.operations.size() + 1;
  }
  return count;
}

}  // namespace

std::size_t reserved_descriptors(const std::vector<config::Config>& configs) {
  const config::ThreadsConfig& threads = configs.at(0).threads;
  std::size_t count = kProcess + kLoop * threads.http +
                      kJobThread * (threads.validation + threads.issuance) +
                      kListener * listeners_of(configs);
  for (const config::Config& config : configs) {
    count += kStoreConnection * (config.store_readers + kStoreBesides);
  }
  return count;
}

http::Limits fit_connections(const std::vector<config::Config>& configs, std::size_t descriptors,
                             Log& log) {
  http::Limits limits = configs.at(0).limits;
  const std::size_t reserved = reserved_descriptors(configs);
  const std::size_t listeners = listeners_of(configs);
  const std::size_t wanted = reserved + listeners * limits.connections;
  if (descriptors >= wanted) return limits;
  const std::string raise =
      "raise the limit to " + std::to_string(wanted) +
      " (LimitNOFILE= of the systemd unit, or ulimit -n), or lower limits.connections";
  if (descriptors < reserved + listeners * kMinConnections) {
    throw std::runtime_error("the process may open " + std::to_string(descriptors) +
                             " descriptors; it needs " + std::to_string(reserved) +
                             " for itself and at least " + std::to_string(kMinConnections) +
                             " for the connections of each of its " + std::to_string(listeners) +
                             " listeners: " + raise);
  }
  const std::size_t asked = limits.connections;
  limits.connections = (descriptors - reserved) / listeners;
  // In proportion, so that one address still cannot take them all.
  limits.connections_per_address =
      std::max<std::size_t>(1, limits.connections_per_address * limits.connections / asked);
  log.warning("connections.lowered", {{"limits.connections", asked},
                                      {"lowered_to", limits.connections},
                                      {"descriptors", descriptors},
                                      {"reserved", reserved},
                                      {"next", raise}});
  return limits;
}

}  // namespace gatehouse::app
