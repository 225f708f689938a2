// Stop: a reason why certificates are not signed just now, and how it is stored and audited.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/principal.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// by_operator: see OperatorStop. clock: see ClockWatch. disk: see DiskWatch.
enum class StopReason { by_operator, clock, disk };
std::string_view to_string(StopReason reason);  // "operator", "clock", "disk"

struct Stop {
  StopReason reason = StopReason::by_operator;
  Instant since;
  Principal by;
  std::string why;  // a sentence

  friend bool operator==(const Stop&, const Stop&) = default;
};

// A stop that the server makes by itself. `why`: a sentence.
Stop stop_by_server(StopReason reason, Instant since, std::string why);

// Stops that outlive the process, in the store's State: the operator's and the clock's. Each throws
// sql::DatabaseError; stored_stop() also JsonError for a row that nobody of ours wrote.
std::optional<Stop> stored_stop(store::Tx& tx, StopReason reason);
// With its audit event, "issuance.stopped".
void store_stop(store::Tx& tx, const Stop& stop);
// Removes the stop and audits "issuance.resumed". Returns it; nothing when there was none.
std::optional<Stop> remove_stop(store::Tx& tx, StopReason reason, const Principal& by, Instant now);

// gatehouse_issuance_stopped{reason=…}: 0 until it is set.
Gauge stop_gauge(Metrics& metrics, StopReason reason);

}  // namespace gatehouse::service
