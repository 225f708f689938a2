// Host: threads, listeners, signals, reload and the order of stopping, round one or many Servers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/app/server/environment.h"
#include "acme-server/core/principal.h"
#include "acme-server/http/engine.h"
#include "config/config.h"

namespace gatehouse::app {

// Runs Servers until it is told to stop. Stop order: waiting answers go out as they are, listeners
// drain, scheduler, request pool and lanes run dry, each Server (last group committed, store
// closed), pools joined.
class Host {
 public:
  struct Options {
    // Gives the environment of each Server, made from the one that Host would use: tests give
    // clocks, resolvers, decorators. Called once per Server, whose number comes first.
    std::function<Environment(std::size_t server, const Environment& base)> adjust = {};
  };

  // Preflight included: throws with one sentence for the operator before anything has started.
  // Threads and limits are shared, and the first config's.
  Host(std::vector<config::Config> configs, Log& log, Options options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Opens the listeners; each line of the result says something that an operator wants to see at
  // start: addresses, ports, DNS servers, egress prefixes, the descriptor limit.
  std::vector<std::string> start();
  // What the listeners of Server `index` were bound to.
  std::vector<http::ListenerAddress> addresses(std::size_t index = 0) const;

  // How long ago the scheduler last came round: it claims jobs through the database, so a long
  // silence says that the server does nothing any more. For a watchdog.
  std::chrono::milliseconds silence() const;

  // SIGHUP: certificates from files, and each Server's policy from its config file, are read anew;
  // limits and the log's level from the first one's. What is bad changes nothing and is logged with
  // why; false then. `by` is who asked for it, for the audit trail.
  bool reload(const Principal& by = ServerPrincipal{});
  // SIGTERM. Returns when everything has stopped; false when the drain deadline cut something off.
  // Safe to repeat.
  bool stop(const Principal& by = ServerPrincipal{});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::app
