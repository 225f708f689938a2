#include "acme-server/service/stops/issuance_stops.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/crash_point.h"
#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/stops/clock_watch.h"
#include "acme-server/service/stops/disk_watch.h"
#include "acme-server/service/stops/operator_stop.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

IssuanceStops::IssuanceStops(store::Store& store, Log& log, OperatorStop& by_operator,
                             ClockWatch& clock, DiskWatch& disk, std::function<void()> wake)
    : store_(store),
      log_(log),
      by_operator_(by_operator),
      clock_(clock),
      disk_(disk),
      wake_(std::move(wake)) {}

void IssuanceStops::start() {
  by_operator_.start();
  clock_.start();
}

void IssuanceStops::look() {
  // One that fails does not keep the others from looking.
  const auto attempt = [this](auto& part) {
    try {
      part.look();
    } catch (const std::exception& failure) {
      log_.warning("issuance.look_failed", {{"error", failure.what()}});
    }
  };
  attempt(by_operator_);
  attempt(clock_);
  attempt(disk_);
}

std::optional<std::string> IssuanceStops::why_stopped(store::Tx& tx) {
  if (const auto stop = OperatorStop::in_force(tx)) return stop->why;
  if (const auto stop = clock_.in_force()) return stop->why;
  if (const auto stop = disk_.in_force()) return stop->why;
  return std::nullopt;
}

bool IssuanceStops::may_issue() {
  return may_begin() && !by_operator_.last_seen();
}

bool IssuanceStops::may_begin() {
  return !clock_.in_force() && !disk_.in_force();
}

bool IssuanceStops::clock_is_trusted() {
  return !clock_.in_force();
}

void IssuanceStops::check_can_begin() {
  if (may_begin()) return;
  reject({.type = ProblemType::serverInternal,
          .detail = "This server has stopped issuing for now; nothing that is begun is lost. Try "
                    "again after the time that Retry-After says, or ask its operator, whose "
                    "`gatehouse status` says why.",
          .status = 503,
          .retry_after = kRetryAfter});
}

void IssuanceStops::check_has_room() {
  if (!disk_.in_force()) return;
  reject({.type = ProblemType::serverInternal,
          .detail = "This server takes no new accounts and no changes of contacts for now, since "
                    "its disk is nearly full; certificates can still be revoked. Try again later.",
          .status = 503,
          .retry_after = kRetryAfter});
}

std::chrono::seconds IssuanceStops::retry_after(std::chrono::seconds usual) {
  return may_issue() ? usual : std::max(usual, kRetryAfter);
}

std::vector<Stop> IssuanceStops::all() {
  std::vector<Stop> stops;
  for (auto& stop : {by_operator_.last_seen(), clock_.in_force(), disk_.in_force()}) {
    if (stop) stops.push_back(*stop);
  }
  return stops;
}

bool IssuanceStops::stop(std::string_view why, const Principal& by) {
  return by_operator_.begin(why, by);
}

IssuanceStops::Resumed IssuanceStops::resume(AcceptClock accept, const Principal& by) {
  const bool accepting = accept == AcceptClock::yes && clock_.in_force();
  const ClockWatch::Reading reading = clock_.read();
  if (accepting) store_.accept_clock();
  Resumed resumed;
  resumed.ended = store_.write([&](store::Tx& tx) {
    std::vector<Stop> ended;
    if (auto stop = OperatorStop::end(tx, by, reading.time)) ended.push_back(std::move(*stop));
    if (accepting) ended.push_back(clock_.accept(tx, reading, by));
    crash_point("issuance.resuming");
    return ended;
  });
  crash_point("issuance.resumed");
  if (accepting) clock_.accepted(reading);
  by_operator_.look();
  resumed.remaining = all();
  for (const Stop& stop : resumed.ended) {
    log_.warning("issuance.resumed", {{"reason", to_string(stop.reason)}, {"by", to_string(by)}});
  }
  if (wake_) wake_();
  return resumed;
}

}  // namespace gatehouse::service
