#include "acme-server/service/stops/clock_watch.h"

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/uptime.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/state.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

using Reading = ClockWatch::Reading;
using std::chrono::seconds;

// In the store's State.
constexpr std::string_view kTime = "clock.seen";    // RFC 3339
constexpr std::string_view kMoment = "clock.boot";  // "<boot id> <seconds>", at clock.seen

std::string print_moment(const UptimeMoment& moment) {
  return moment.boot + " " + std::to_string(moment.since_boot.count());
}

// Without a boot, which equals none, when the text is not one of ours.
UptimeMoment read_moment(const std::string& text) {
  const std::size_t space = text.find(' ');
  UptimeMoment moment;
  if (space == std::string::npos) return moment;
  std::int64_t since_boot = 0;
  const auto [end, error] =
      std::from_chars(text.data() + space + 1, text.data() + text.size(), since_boot);
  if (error != std::errc() || end != text.data() + text.size()) return moment;
  moment.boot = text.substr(0, space);
  moment.since_boot = seconds(since_boot);
  return moment;
}

std::optional<Reading> stored_reading(store::Tx& tx) {
  const auto text = tx.state().get(kTime);
  const auto time = text ? from_rfc3339(*text) : std::nullopt;
  if (!time) return std::nullopt;
  return Reading{.time = *time, .moment = read_moment(tx.state().get(kMoment).value_or(""))};
}

void store_reading(store::Tx& tx, const Reading& reading) {
  tx.state().set(kTime, to_rfc3339(reading.time));
  tx.state().set(kMoment, print_moment(reading.moment));
}

}  // namespace

ClockWatch::ClockWatch(store::Store& store, Clock& clock, const Uptime& uptime, Log& log,
                       Metrics& metrics)
    : store_(store),
      clock_(clock),
      uptime_(uptime),
      log_(log),
      gauge_(stop_gauge(metrics, StopReason::clock)),
      state_(State{.noted = read(), .stop = {}, .stored = true}) {}

Reading ClockWatch::read() const {
  return {.time = clock_.now(), .moment = uptime_.now()};
}

// Why the clock is not what it should be, by the time that was noted last; nothing when it is.
std::optional<std::string> ClockWatch::why_off(const Reading& noted, Instant now) const {
  const UptimeMoment moment = uptime_.now();
  if (same_boot(moment, noted.moment)) {
    const Instant expected = noted.time + (moment.since_boot - noted.moment.since_boot);
    if (now >= expected - kSlack && now <= expected + kSlack) return std::nullopt;
    return "The clock says " + to_rfc3339(now) + ", but by the machine's uptime it is " +
           to_rfc3339(expected) + ".";
  }
  if (now + kSlack >= noted.time) return std::nullopt;
  return "The clock says " + to_rfc3339(now) + ", but the database was in use at " +
         to_rfc3339(noted.time) + ".";
}

void ClockWatch::begin(State& state, const Stop& stop, bool stored) const {
  gauge_.set(1);
  state.stop = stop;
  state.stored = stored;
}

void ClockWatch::log_stopped(const Stop& stop) const {
  log_.error("issuance.stopped",
             {{"reason", "clock"},
              {"why", stop.why},
              {"next", "set the clock, then gatehouse resume-issuance --accept-clock"}});
}

void ClockWatch::start() {
  const Reading now = read();
  const auto stop = store_.write([&](store::Tx& tx) -> std::optional<Stop> {
    if (auto stored = stored_stop(tx, StopReason::clock)) return stored;
    const auto noted = stored_reading(tx);
    if (auto why = noted ? why_off(*noted, now.time) : std::nullopt) {
      Stop found = stop_by_server(StopReason::clock, now.time, std::move(*why));
      store_stop(tx, found);
      return found;
    }
    store_reading(tx, now);
    return std::nullopt;
  });
  state_.with([&](State& state) {
    state.noted = now;
    if (stop) begin(state, *stop, true);
  });
  if (stop) log_stopped(*stop);
}

std::optional<Stop> ClockWatch::in_force() {
  const Instant now = clock_.now();
  bool found = false;
  const auto stop = state_.with([&](State& state) {
    if (state.stop) return state.stop;
    if (auto why = why_off(state.noted, now)) {
      found = true;
      begin(state, stop_by_server(StopReason::clock, now, std::move(*why)), false);
    }
    return state.stop;
  });
  if (found) log_stopped(*stop);
  return stop;
}

// Apart from in_force(), which may run within a transaction. A process that ends before this finds
// the same at its next start.
void ClockWatch::look() {
  const auto stop = in_force();
  const bool stored = state_.with([](const State& state) { return state.stored; });
  if (!stop || stored) return;
  store_.write([&](store::Tx& tx) { store_stop(tx, *stop); });
  state_.with([](State& state) { state.stored = true; });
}

void ClockWatch::note_time() {
  if (in_force()) return;
  const Reading now = read();
  store_.write([&](store::Tx& tx) { store_reading(tx, now); });
  state_.with([&](State& state) { state.noted = now; });
}

Stop ClockWatch::accept(store::Tx& tx, const Reading& reading, const Principal& by) {
  // One that was not stored yet is on record all the same.
  const auto stop = in_force();
  if (stop && !stored_stop(tx, StopReason::clock)) store_stop(tx, *stop);
  auto ended = remove_stop(tx, StopReason::clock, by, reading.time);
  ACME_CHECK(ended.has_value());
  store_reading(tx, reading);
  // What was put off by the wrong clock may lie far ahead of the right one.
  tx.jobs().hasten(tx.job_now());
  return std::move(*ended);
}

void ClockWatch::accepted(const Reading& reading) {
  state_.with([&](State& state) {
    gauge_.set(0);
    state.stop.reset();
    state.stored = true;
    state.noted = reading;
  });
}

}  // namespace gatehouse::service
