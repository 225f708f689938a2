// IssuanceStops: the one place to ask whether certificates are signed, and whether anything new is
// begun.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/stops/clock_watch.h"
#include "acme-server/service/stops/disk_watch.h"
#include "acme-server/service/stops/operator_stop.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// While any stop is in force nothing is signed for any order, old or new; reading and revocation go
// on. CRLs go on too unless the clock is in doubt: then the one in force stays. Stopped by an
// operator alone, orders are still taken up to `processing` and wait there. With a wrong clock or a
// full disk nothing new is begun: check_can_begin() answers 503. Waiting jobs stay due, so that
// they run when the stop ends.
//
// Safe to call from any thread. All it is given outlives it.
class IssuanceStops final {
 public:
  // `wake`: jobs may be due, since a stop has ended.
  IssuanceStops(store::Store& store, Log& log, OperatorStop& by_operator, ClockWatch& clock,
                DiskWatch& disk, std::function<void()> wake);

  // Before anything else runs: what an earlier process has left, and the clock. Throws
  // sql::DatabaseError.
  void start();
  // Has each of the three look, at least once a second. Failures are logged: each looks again soon,
  // and what is stopped stays stopped.
  void look();

  // Why nothing may be signed, in the transaction that begins or marks an intent: the database's
  // answer, not a copy of it. Nothing when signing may go on.
  std::optional<std::string> why_stopped(store::Tx& tx);

  // Whether certificates are signed, and whether anything new is begun: to claim jobs and to
  // inform, not to sign by. An operator's stop is known from the last look. Neither touches the
  // store.
  bool may_issue();
  bool may_begin();
  // False while the clock is in doubt: nothing at all is signed then, since all that is signed has
  // dates. Does not touch the store.
  bool clock_is_trusted();
  // Rejects with serverInternal, 503 and Retry-After while nothing new is begun.
  void check_can_begin();
  // Rejects likewise while the disk is full, for what may be begun by a wrong clock but costs room:
  // what is left is for revocations, CRLs, the outcomes of what had begun, and for leaving
  // (deactivation, another key).
  void check_has_room();
  // What Retry-After says of an order in processing: `usual`, or longer while nothing is signed.
  std::chrono::seconds retry_after(std::chrono::seconds usual);
  // All that are in force, for operators, readiness and metrics; as may_issue() knows them.
  std::vector<Stop> all();

  // See OperatorStop::begin().
  bool stop(std::string_view why, const Principal& by);

  enum class AcceptClock { no, yes };

  struct Resumed {
    std::vector<Stop> ended, remaining;
  };

  // Ends the operator's stop and, with AcceptClock::yes, the clock's, in one transaction; the
  // disk's ends when there is room. Then every waiting job is due. Throws sql::DatabaseError.
  Resumed resume(AcceptClock accept, const Principal& by);

  static constexpr std::chrono::seconds kRetryAfter{30};  // what clients are told while stopped

 private:
  store::Store& store_;
  Log& log_;
  OperatorStop& by_operator_;
  ClockWatch& clock_;
  DiskWatch& disk_;
  std::function<void()> wake_;
};

}  // namespace gatehouse::service
