// IssuanceGate: whether certificates are signed at all just now, and why not.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/uptime.h"
#include "acme-server/core/principal.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// by_operator: their word, until their word. clock: it is more than kClockSlack off the time that
// it should be, until an operator accepts it. disk: too little room, or a write failed for want of
// it, until there is room.
enum class StopReason { by_operator, clock, disk };
std::string_view to_string(StopReason reason);  // "operator", "clock", "disk"

struct Stop {
  StopReason reason = StopReason::by_operator;
  Instant since;
  Principal by;
  std::string why;  // a sentence
};

// While stopped nothing is signed for any order, old or new; reading, revocation and CRLs go on.
// Stopped by the operator, orders are still taken up to `processing` and wait there. With a wrong
// clock or a full disk nothing new is begun: check_can_begin() says 503. Waiting jobs stay due, so
// that the end of a stop sets them going.
//
// The first two stops are in the database and outlive the process; the third is a fact of the
// moment. The clock is held against the last time that was stored: while we run, and after a
// restart within one boot of the machine, with the uptime that has passed since; after a boot, only
// for having gone back, since a machine may have been off for any time.
//
// Safe to call from any thread. All it is given outlives it.
class IssuanceGate final {
 public:
  struct Options {
    std::uint64_t free_space_floor = 0;              // octets; 0: not looked at
    std::function<std::uint64_t()> free_space = {};  // on the database's disk
    std::function<void()> wake = {};                 // jobs may be due
  };

  IssuanceGate(store::Store& store, Clock& clock, const Uptime& uptime, Log& log, Metrics& metrics,
               Options options);

  // Before anything else runs: what an earlier process has left, and the clock.
  void start();
  // Now and then, at least once a second: the clock, the disk; ends a stop for the disk.
  void look();
  // Every few minutes: the time, for the next start to be held against. Not while the clock is off.
  void note_time();

  // Whether certificates are signed; whether anything new is begun.
  bool may_issue();
  bool may_begin();
  // The same, in the transaction that marks an intent: why not.
  std::optional<std::string> why_stopped(store::Tx& tx);
  // Rejects with serverInternal, 503 and Retry-After while nothing new is begun.
  void check_can_begin();
  // What Retry-After says of an order in processing: `usual`, or longer while nothing is signed.
  std::chrono::seconds patience(std::chrono::seconds usual);
  std::vector<Stop> stops() const;

  // The operator's word, durable and audited when it returns. An
  // intent that was marked before it is still signed. False when it was stopped by them already.
  bool stop(std::string_view why, const Principal& actor);

  enum class ClockWord { none, accept };

  struct Resumed {
    std::vector<Stop> ended, remaining;
  };

  // Ends the operator's stop and, with ClockWord::accept, the clock's: then the clock is right from
  // here on, wherever it has gone, and every waiting job is due.
  Resumed resume(ClockWord word, const Principal& actor);

  // A write has failed for want of room. From the writer's thread; it does not touch the store.
  void disk_failed();

  static constexpr std::chrono::seconds kClockSlack{60};
  static constexpr std::chrono::seconds kRetryAfter{30};  // what clients are told while stopped

 private:
  // The time that was stored last, and when that was.
  struct Anchor {
    Instant time;
    UptimeMoment moment;
  };

  struct State {
    std::map<StopReason, Stop> stops;
    Anchor anchor;
    bool clock_stop_stored = true;
  };

  void watch_clock();
  void watch_disk();
  void store_clock_stop();
  void begin(State& state, Stop stop);
  void end(State& state, StopReason reason);
  std::optional<std::string> why_clock_off(const Anchor& anchor, Instant now) const;

  store::Store& store_;
  Clock& clock_;
  const Uptime& uptime_;
  Log& log_;
  Options options_;
  Guarded<State> state_;
  std::map<StopReason, Gauge> gauges_;
};

// Octets that this process may still write to the disk that holds `path`.
std::uint64_t free_space_at(const std::string& path);

}  // namespace gatehouse::service
