#include "acme-server/service/stops/stop.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/principal.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/state.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

// In the store's State.
constexpr std::string_view kByOperator = "issuance.stopped.operator";
constexpr std::string_view kByClock = "issuance.stopped.clock";

constexpr std::size_t kMaxTime = 64;
constexpr std::size_t kMaxBy = 256;
constexpr std::size_t kMaxWhy = 4096;

std::string_view key_of(StopReason reason) {
  ACME_CHECK(reason != StopReason::disk);  // never stored: there may be no room for it
  return reason == StopReason::clock ? kByClock : kByOperator;
}

void audit(store::Tx& tx, std::string kind, const Principal& actor, Json details) {
  tx.audit().append({.kind = std::move(kind),
                     .actor = actor,
                     .directory = std::nullopt,
                     .account = std::nullopt,
                     .order = std::nullopt,
                     .authorization = std::nullopt,
                     .certificate = std::nullopt,
                     .details = std::move(details)});
}

}  // namespace

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::by_operator:
      return "operator";
    case StopReason::clock:
      return "clock";
    case StopReason::disk:
      return "disk";
  }
  ACME_CHECK(false);
  return {};
}

Stop stop_by_server(StopReason reason, Instant since, std::string why) {
  return {.reason = reason, .since = since, .by = ServerPrincipal{}, .why = std::move(why)};
}

std::optional<Stop> stored_stop(store::Tx& tx, StopReason reason) {
  const auto text = tx.state().get(key_of(reason));
  if (!text) return std::nullopt;
  const Json json = parse_json(*text);
  const JsonObject object(json, std::string(key_of(reason)));
  return Stop{.reason = reason,
              .since = from_rfc3339(object.string("since", kMaxTime)).value_or(Instant{}),
              .by = parse_principal(object.string("by", kMaxBy)),
              .why = object.string("why", kMaxWhy)};
}

void store_stop(store::Tx& tx, const Stop& stop) {
  tx.state().set(key_of(stop.reason), print_json({{"since", to_rfc3339(stop.since)},
                                                  {"by", to_string(stop.by)},
                                                  {"why", stop.why}}));
  audit(tx, "issuance.stopped", stop.by, {{"reason", to_string(stop.reason)}, {"why", stop.why}});
}

std::optional<Stop> remove_stop(store::Tx& tx, StopReason reason, const Principal& by,
                                Instant now) {
  auto stop = stored_stop(tx, reason);
  if (!stop) return std::nullopt;
  tx.state().remove(key_of(reason));
  audit(tx, "issuance.resumed", by,
        {{"reason", to_string(reason)},
         {"since", to_rfc3339(stop->since)},
         {"why", stop->why},
         {"now", to_rfc3339(now)}});
  return stop;
}

Gauge stop_gauge(Metrics& metrics, StopReason reason) {
  const Gauge gauge = metrics.gauge("gatehouse_issuance_stopped",
                                    "1 while nothing is signed, by the reason for it.",
                                    {{"reason", std::string(to_string(reason))}});
  gauge.set(0);
  return gauge;
}

}  // namespace gatehouse::service
