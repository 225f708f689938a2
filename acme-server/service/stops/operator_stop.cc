#include "acme-server/service/stops/operator_stop.h"

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

void log_stopped(Log& log, const Stop& stop) {
  log.warning("issuance.stopped",
              {{"reason", "operator"}, {"by", to_string(stop.by)}, {"why", stop.why}});
}

}  // namespace

OperatorStop::OperatorStop(store::Store& store, Clock& clock, Log& log, Metrics& metrics)
    : store_(store),
      clock_(clock),
      log_(log),
      gauge_(stop_gauge(metrics, StopReason::by_operator)) {}

void OperatorStop::start() {
  look();
  if (const auto stop = last_seen()) log_stopped(log_, *stop);
}

void OperatorStop::look() {
  const std::lock_guard one_at_a_time(looking_);
  auto stop = store_.read([](store::Tx& tx) { return in_force(tx); });
  gauge_.set(stop ? 1 : 0);
  last_seen_.with([&](std::optional<Stop>& seen) { seen = std::move(stop); });
}

std::optional<Stop> OperatorStop::in_force(store::Tx& tx) {
  return stored_stop(tx, StopReason::by_operator);
}

std::optional<Stop> OperatorStop::last_seen() const {
  return last_seen_.with([](const std::optional<Stop>& seen) { return seen; });
}

bool OperatorStop::begin(std::string_view why, const Principal& by) {
  const Stop stop{
      .reason = StopReason::by_operator, .since = clock_.now(), .by = by, .why = std::string(why)};
  const bool first = store_.write([&](store::Tx& tx) {
    if (in_force(tx)) return false;
    store_stop(tx, stop);
    crash_point("issuance.stopping");
    return true;
  });
  crash_point("issuance.stopped");
  look();
  if (first) log_stopped(log_, stop);
  return first;
}

std::optional<Stop> OperatorStop::end(store::Tx& tx, const Principal& by, Instant now) {
  return remove_stop(tx, StopReason::by_operator, by, now);
}

}  // namespace gatehouse::service
