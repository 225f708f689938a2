// DiskWatch: stops issuance while the database's disk has too little room.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// A node's own, and a fact of the moment: a stop is in memory alone, and ends without an operator
// once there is room again.
//
// Safe to call from any thread. All it is given outlives it.
class DiskWatch final {
 public:
  struct Options {
    std::uint64_t free_space_floor = 0;              // octets; less than that free is a stop
    std::function<std::uint64_t()> free_space = {};  // on the database's disk; none: not measured
    std::function<void()> wake = {};                 // jobs may be due: a stop has ended
  };

  DiskWatch(store::Store& store, Clock& clock, Log& log, Metrics& metrics, Options options);

  // Measures the free space: begins a stop, or ends one when there is room and a write succeeds; at
  // least once a second. Throws sql::DatabaseError, and what Options::free_space throws.
  void look();

  // A write has failed for want of room. From the writer's thread; does not touch the store.
  void write_failed();

  // The stop in force. Does not touch the store.
  std::optional<Stop> in_force() const;

 private:
  store::Store& store_;
  Clock& clock_;
  Log& log_;
  Options options_;
  Gauge gauge_;
  Guarded<std::optional<Stop>> stop_;
};

// Octets that this process may still write to the disk that holds `path`. Throws std::system_error.
std::uint64_t free_space_at(const std::string& path);

}  // namespace gatehouse::service
