// What the engine counts, once for Engine::stats() and once for the metrics.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "acme-server/base/metrics.h"
#include "acme-server/http/engine.h"

namespace gatehouse::http {

// How many there have been.
class Count {
 public:
  explicit Count(Counter counter) : counter_(counter) {}

  void add() {
    value_.fetch_add(1, std::memory_order_relaxed);
    counter_.add();
  }

  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
  Counter counter_;
};

// How many there are.
class Level {
 public:
  explicit Level(Gauge gauge) : gauge_(gauge) {}

  void up() {
    value_.fetch_add(1, std::memory_order_relaxed);
    gauge_.add(1);
  }

  void down() {
    value_.fetch_sub(1, std::memory_order_relaxed);
    gauge_.add(-1);
  }

  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
  Gauge gauge_;
};

struct Tallies {
  explicit Tallies(Metrics& metrics)
      : connections(metrics.gauge("gatehouse_http_connections", "Open client connections.")),
        handshakes(metrics.gauge("gatehouse_http_handshakes", "TLS handshakes under way.")),
        idle(metrics.gauge("gatehouse_http_idle", "Connections that wait for a request.")),
        in_flight(metrics.gauge("gatehouse_http_in_flight", "Requests not yet answered.")),
        accepted(metrics.counter("gatehouse_http_accepted_total", "Connections accepted.")),
        refused(metrics.counter("gatehouse_http_refused_total", "Connections closed for a limit.")),
        evicted(metrics.counter("gatehouse_http_evicted_total",
                                "Idle connections closed to make room for others.")),
        handled(metrics.counter("gatehouse_http_handled_total", "Requests handed to the handler.")),
        rejected(metrics.counter("gatehouse_http_rejected_total",
                                 "Requests the HTTP engine itself answered with 4xx.")),
        failed_handshakes(metrics.counter("gatehouse_http_failed_handshakes_total",
                                          "TLS handshakes that failed.")),
        accept_pauses(metrics.counter("gatehouse_http_accept_pauses_total",
                                      "Times accept ran out of descriptors or memory.")) {}

  Stats stats() const {
    return {.connections = connections.value(),
            .handshakes = handshakes.value(),
            .idle = idle.value(),
            .in_flight = in_flight.value(),
            .accepted = accepted.value(),
            .refused = refused.value(),
            .evicted = evicted.value(),
            .handled = handled.value(),
            .rejected = rejected.value(),
            .failed_handshakes = failed_handshakes.value(),
            .accept_pauses = accept_pauses.value()};
  }

  Level connections;
  Level handshakes;
  Level idle;
  Level in_flight;
  Count accepted;
  Count refused;
  Count evicted;
  Count handled;
  Count rejected;
  Count failed_handshakes;
  Count accept_pauses;
};

}  // namespace gatehouse::http
