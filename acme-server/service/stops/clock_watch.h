// ClockWatch: stops issuance while this node's clock is not what it should be.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/uptime.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// A node's own: another node has another clock. The clock is compared with the time that was noted
// last: while the process runs, and after a restart within one boot of the machine, with the uptime
// that has passed since. After a boot, a clock is wrong only when it has gone back, since a machine
// may have been off for any time.
//
// A stop is stored, so that it outlives the process, and ends only when an operator accepts the
// clock: a clock that is right again may be wrong the next time.
//
// Safe to call from any thread. All it is given outlives it.
class ClockWatch final {
 public:
  ClockWatch(store::Store& store, Clock& clock, const Uptime& uptime, Log& log, Metrics& metrics);

  // Before anything else runs: takes up the stop and the time that an earlier process stored, and
  // checks the clock. Throws sql::DatabaseError.
  void start();
  // Stores a stop that was found meanwhile; at least once a second. Throws sql::DatabaseError.
  void look();
  // Stores the time, for the next start to compare with; every few minutes. Does nothing while the
  // clock is off. Throws sql::DatabaseError.
  void note_time();

  // Checks the clock now: the stop in force. Does not touch the store, so it may be called within a
  // transaction.
  std::optional<Stop> in_force();

  struct Reading {
    Instant time;
    UptimeMoment moment;
  };

  Reading read() const;

  // An operator says that the clock was right at `reading`, wherever it has gone. accept() stores
  // and audits that, and makes every waiting job due; returns the stop that has ended. accepted()
  // follows its COMMIT. For a stop that is in force.
  Stop accept(store::Tx& tx, const Reading& reading, const Principal& by);
  void accepted(const Reading& reading);

  static constexpr std::chrono::seconds kSlack{60};  // this much off is not wrong yet

 private:
  struct State {
    Reading noted;
    std::optional<Stop> stop;
    bool stored = true;  // whether the stop is in the database
  };

  std::optional<std::string> why_off(const Reading& noted, Instant now) const;
  void begin(State& state, const Stop& stop, bool stored) const;
  void log_stopped(const Stop& stop) const;

  store::Store& store_;
  Clock& clock_;
  const Uptime& uptime_;
  Log& log_;
  Gauge gauge_;
  Guarded<State> state_;
};

}  // namespace gatehouse::service
