// The world of a Server that serves nobody: for commands that work on the database without a
// server.
#pragma once

#include "acme-server/app/server/environment.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/uptime.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/socket_dialer.h"
#include "config/config.h"

namespace gatehouse::app {

// Everything happens on the caller's thread; errors alone are logged. Outlives its Server.
class QuietEnvironment final {
 public:
  explicit QuietEnvironment(const config::Config& config)
      : log_({.format = Log::Format::console, .level = LogLevel::error, .sink = {}}),
        resolver_(config.resolver, entropy_),
        environment_{.clock = clock_,
                     .job_clock = clock_,
                     .uptime = uptime_,
                     .entropy = entropy_,
                     .resolver = resolver_,
                     .dialer = dialer_,
                     .log = log_,
                     .metrics = metrics_,
                     .executors = Executors::all_on(executor_)} {}

  Environment& get() { return environment_; }

 private:
  SystemClock clock_;
  MachineUptime uptime_;
  OsEntropy entropy_;
  Log log_;
  Metrics metrics_;
  net::CaresResolver resolver_;
  net::SocketDialer dialer_;
  InlineExecutor executor_;
  Environment environment_;
};

}  // namespace gatehouse::app
