// OperatorStop: the stop that an operator has put on issuance, until an operator resumes it.
#pragma once

#include <mutex>
#include <optional>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// Several nodes may share one database, so the database alone holds the stop: whatever begins or
// marks an intent asks in_force() in its own transaction. last_seen() is a copy for what only
// informs or may be late by a second: metrics, readiness, Retry-After, whether jobs are claimed.
//
// Orders are still taken up to `processing` and wait there. An intent that was marked before the
// stop is still signed.
//
// Safe to call from any thread. All it is given outlives it.
class OperatorStop final {
 public:
  OperatorStop(store::Store& store, Clock& clock, Log& log, Metrics& metrics);

  // Before anything else runs: logs a stop that is in force. Throws as look().
  void start();
  // Reads the database for last_seen(); at least once a second. Throws sql::DatabaseError.
  void look();

  // The stop as `tx` sees it.
  static std::optional<Stop> in_force(store::Tx& tx);
  // The stop as it was at the last look(). Does not touch the store.
  std::optional<Stop> last_seen() const;

  // Stops issuance; durable and audited when it returns. False when it was stopped already: then
  // the first stop and its reason stay.
  bool begin(std::string_view why, const Principal& by);
  // Ends the stop and audits that; look() after the COMMIT. Nothing when there was none.
  static std::optional<Stop> end(store::Tx& tx, const Principal& by, Instant now);

 private:
  store::Store& store_;
  Clock& clock_;
  Log& log_;
  Gauge gauge_;
  std::mutex looking_;  // one look at a time: the newest copy is the last one stored
  Guarded<std::optional<Stop>> last_seen_;
};

}  // namespace gatehouse::service
