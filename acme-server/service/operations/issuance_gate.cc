#include "acme-server/service/operations/issuance_gate.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/uptime.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/state.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

using std::chrono::seconds;

// In the store's State.
constexpr std::string_view kClockSeen = "clock.seen";  // RFC 3339
constexpr std::string_view kClockBoot = "clock.boot";  // "<boot id> <seconds>", at clock.seen
constexpr std::string_view kStoppedByOperator = "issuance.stopped.operator";
constexpr std::string_view kStoppedByClock = "issuance.stopped.clock";
constexpr std::string_view kDiskProbe = "disk.probe";

// A stop for want of room ends when there is this part of the floor more than the floor: else it
// would come and go with every write.
constexpr std::uint64_t kRoomAbove = 8;
constexpr std::uint64_t kMebibyte = 1024 * 1024;

constexpr StopReason kReasons[] = {StopReason::by_operator, StopReason::clock, StopReason::disk};

std::string_view key_of(StopReason reason) {
  return reason == StopReason::clock ? kStoppedByClock : kStoppedByOperator;
}

std::string mebibytes(std::uint64_t octets) {
  return std::to_string(octets / kMebibyte) + " MiB";
}

std::string print_stop(const Stop& stop) {
  return print_json(
      {{"since", to_rfc3339(stop.since)}, {"by", to_string(stop.by)}, {"why", stop.why}});
}

std::optional<Stop> stored_stop(store::Tx& tx, StopReason reason) {
  const auto text = tx.state().get(key_of(reason));
  if (!text) return std::nullopt;
  const Json json = parse_json(*text);
  const JsonObject object(json, std::string(key_of(reason)));
  return Stop{.reason = reason,
              .since = from_rfc3339(object.string("since", 64)).value_or(Instant{}),
              .by = parse_principal(object.string("by", 256)),
              .why = object.string("why", 4096)};
}

std::string print_moment(const UptimeMoment& moment) {
  return moment.boot + " " + std::to_string(moment.since_boot.count());
}

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

void put_time(store::Tx& tx, Instant now, const UptimeMoment& moment) {
  tx.state().set(kClockSeen, to_rfc3339(now));
  tx.state().set(kClockBoot, print_moment(moment));
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

void put_stop(store::Tx& tx, const Stop& stop) {
  tx.state().set(key_of(stop.reason), print_stop(stop));
  audit(tx, "issuance.stopped", stop.by, {{"reason", to_string(stop.reason)}, {"why", stop.why}});
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

std::uint64_t free_space_at(const std::string& path) {
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

IssuanceGate::IssuanceGate(store::Store& store, Clock& clock, const Uptime& uptime, Log& log,
                           Metrics& metrics, Options options)
    : store_(store),
      clock_(clock),
      uptime_(uptime),
      log_(log),
      options_(std::move(options)),
      state_(State{.stops = {},
                   .anchor = {.time = clock.now(), .moment = uptime.now()},
                   .clock_stop_stored = true}) {
  for (const StopReason reason : kReasons) {
    gauges_[reason] = metrics.gauge("gatehouse_issuance_stopped",
                                    "1 while nothing is signed, by the reason for it.",
                                    {{"reason", std::string(to_string(reason))}});
    gauges_[reason].set(0);
  }
}

void IssuanceGate::begin(State& state, Stop stop) {
  const StopReason reason = stop.reason;
  gauges_.at(reason).set(1);
  state.stops.insert_or_assign(reason, std::move(stop));
}

void IssuanceGate::end(State& state, StopReason reason) {
  gauges_.at(reason).set(0);
  state.stops.erase(reason);
}

// Why the clock is not what it should be, by the time that was stored last; nothing when it is.
std::optional<std::string> IssuanceGate::why_clock_off(const Anchor& anchor, Instant now) const {
  const UptimeMoment moment = uptime_.now();
  if (same_boot(moment, anchor.moment)) {
    const Instant expected = anchor.time + (moment.since_boot - anchor.moment.since_boot);
    if (now >= expected - kClockSlack && now <= expected + kClockSlack) return std::nullopt;
    return "The clock says " + to_rfc3339(now) + ", but by the machine's uptime it is " +
           to_rfc3339(expected) + ".";
  }
  if (now + kClockSlack >= anchor.time) return std::nullopt;
  return "The clock says " + to_rfc3339(now) + ", but the database was in use at " +
         to_rfc3339(anchor.time) + ".";
}

void IssuanceGate::start() {
  const Instant now = clock_.now();
  const UptimeMoment moment = uptime_.now();
  std::vector<Stop> stops;
  store_.write([&](store::Tx& tx) {
    stops.clear();
    for (const StopReason reason : {StopReason::by_operator, StopReason::clock}) {
      if (auto stop = stored_stop(tx, reason)) stops.push_back(std::move(*stop));
    }
    const auto text = tx.state().get(kClockSeen);
    const auto seen = text ? from_rfc3339(*text) : std::nullopt;
    const bool stopped = !stops.empty() && stops.back().reason == StopReason::clock;
    const auto why =
        seen && !stopped
            ? why_clock_off(
                  {.time = *seen, .moment = read_moment(tx.state().get(kClockBoot).value_or(""))},
                  now)
            : std::nullopt;
    if (why) {
      stops.push_back(
          {.reason = StopReason::clock, .since = now, .by = ServerPrincipal{}, .why = *why});
      put_stop(tx, stops.back());
    }
    if (!why && !stopped) put_time(tx, now, moment);
  });
  state_.with([&](State& state) {
    state.anchor = {.time = now, .moment = moment};
    for (const Stop& stop : stops) begin(state, stop);
  });
  for (const Stop& stop : stops) {
    if (stop.reason == StopReason::by_operator) {  // who knows of it
      log_.warning("issuance.stopped",
                   {{"reason", "operator"}, {"by", to_string(stop.by)}, {"why", stop.why}});
      continue;
    }
    log_.error("issuance.stopped",
               {{"reason", to_string(stop.reason)},
                {"why", stop.why},
                {"next", "set the clock, then gatehouse resume-issuance --accept-clock"}});
  }
}

void IssuanceGate::watch_clock() {
  const Instant now = clock_.now();
  const auto why = state_.with([&](State& state) -> std::optional<std::string> {
    if (state.stops.contains(StopReason::clock)) return std::nullopt;
    const auto off = why_clock_off(state.anchor, now);
    if (off) {
      begin(state,
            {.reason = StopReason::clock, .since = now, .by = ServerPrincipal{}, .why = *off});
      state.clock_stop_stored = false;
    }
    return off;
  });
  if (why) {
    log_.error("issuance.stopped",
               {{"reason", "clock"},
                {"why", *why},
                {"next", "set the clock, then gatehouse resume-issuance --accept-clock"}});
  }
}

// Done apart from the discovery, which may be within a transaction. A process that ends in between
// finds the same at its start.
void IssuanceGate::store_clock_stop() {
  const auto stop = state_.with([](const State& state) -> std::optional<Stop> {
    const auto found = state.stops.find(StopReason::clock);
    if (state.clock_stop_stored || found == state.stops.end()) return std::nullopt;
    return found->second;
  });
  if (!stop) return;
  store_.write([&](store::Tx& tx) { put_stop(tx, *stop); });
  state_.with([](State& state) { state.clock_stop_stored = true; });
}

void IssuanceGate::watch_disk() {
  if (!options_.free_space) return;
  const std::uint64_t free = options_.free_space();
  const std::uint64_t floor = options_.free_space_floor;
  const bool stopped =
      state_.with([](const State& state) { return state.stops.contains(StopReason::disk); });
  if (!stopped && free < floor) {
    const Stop stop{.reason = StopReason::disk,
                    .since = clock_.now(),
                    .by = ServerPrincipal{},
                    .why = mebibytes(free) + " are free on the database's disk, less than the " +
                           mebibytes(floor) + " of store.free_space_floor."};
    state_.with([&](State& state) { begin(state, stop); });
    log_.error("issuance.stopped",
               {{"reason", "disk"}, {"why", stop.why}, {"next", "make room on the disk"}});
    return;
  }
  if (!stopped || free < floor + floor / kRoomAbove) return;
  // Room is not all: a quota, or a disk gone read-only, shows in a write alone.
  store_.write([&](store::Tx& tx) { tx.state().set(kDiskProbe, to_rfc3339(clock_.now())); });
  state_.with([&](State& state) { end(state, StopReason::disk); });
  log_.warning("issuance.resumed", {{"reason", "disk"}, {"free", mebibytes(free)}});
  if (options_.wake) options_.wake();
}

void IssuanceGate::look() {
  watch_clock();
  try {
    store_clock_stop();
    watch_disk();
  } catch (const std::exception& failure) {
    // It is looked at again soon, and what is stopped stays stopped.
    log_.warning("issuance.look_failed", {{"error", failure.what()}});
  }
}

void IssuanceGate::note_time() {
  watch_clock();
  const Instant now = clock_.now();
  const UptimeMoment moment = uptime_.now();
  const bool off =
      state_.with([](const State& state) { return state.stops.contains(StopReason::clock); });
  if (off) return;
  store_.write([&](store::Tx& tx) { put_time(tx, now, moment); });
  state_.with([&](State& state) { state.anchor = {.time = now, .moment = moment}; });
}

bool IssuanceGate::may_issue() {
  watch_clock();
  return state_.with([](const State& state) { return state.stops.empty(); });
}

bool IssuanceGate::may_begin() {
  watch_clock();
  return state_.with([](const State& state) {
    return !state.stops.contains(StopReason::clock) && !state.stops.contains(StopReason::disk);
  });
}

std::optional<std::string> IssuanceGate::why_stopped(store::Tx& tx) {
  watch_clock();
  // The operator's word as this transaction sees it, not as this process remembers it.
  if (const auto stop = stored_stop(tx, StopReason::by_operator)) return stop->why;
  return state_.with([](const State& state) -> std::optional<std::string> {
    for (const auto& [reason, stop] : state.stops) {
      if (reason != StopReason::by_operator) return stop.why;
    }
    return std::nullopt;
  });
}

void IssuanceGate::check_can_begin() {
  if (may_begin()) return;
  reject({.type = ProblemType::serverInternal,
          .detail = "This server has stopped issuing for now, and its operator knows; nothing that "
                    "is begun is lost. Try again later.",
          .status = 503,
          .retry_after = kRetryAfter});
}

seconds IssuanceGate::patience(seconds usual) {
  return may_issue() ? usual : std::max(usual, kRetryAfter);
}

std::vector<Stop> IssuanceGate::stops() const {
  return state_.with([](const State& state) {
    std::vector<Stop> all;
    for (const auto& [reason, stop] : state.stops) all.push_back(stop);
    return all;
  });
}

bool IssuanceGate::stop(std::string_view why, const Principal& actor) {
  const Stop stop{.reason = StopReason::by_operator,
                  .since = clock_.now(),
                  .by = actor,
                  .why = std::string(why)};
  const bool first = store_.write([&](store::Tx& tx) {
    if (stored_stop(tx, StopReason::by_operator)) return false;
    put_stop(tx, stop);
    crash_point("issuance.stopping");
    return true;
  });
  crash_point("issuance.stopped");
  if (first) {
    state_.with([&](State& state) { begin(state, stop); });
    log_.warning("issuance.stopped",
                 {{"reason", "operator"}, {"by", to_string(stop.by)}, {"why", stop.why}});
  }
  return first;
}

IssuanceGate::Resumed IssuanceGate::resume(ClockWord word, const Principal& actor) {
  watch_clock();
  const bool off =
      state_.with([](const State& state) { return state.stops.contains(StopReason::clock); });
  const bool accept = word == ClockWord::accept && off;
  const Instant now = clock_.now();
  const UptimeMoment moment = uptime_.now();
  if (accept) store_.accept_clock();
  Resumed resumed;
  store_.write([&](store::Tx& tx) {
    resumed.ended.clear();
    const auto end_stored = [&](StopReason reason) {
      auto stop = stored_stop(tx, reason);
      if (!stop) return;
      tx.state().remove(key_of(reason));
      audit(tx, "issuance.resumed", actor,
            {{"reason", to_string(reason)},
             {"since", to_rfc3339(stop->since)},
             {"why", stop->why},
             {"now", to_rfc3339(now)}});
      resumed.ended.push_back(std::move(*stop));
    };
    end_stored(StopReason::by_operator);
    if (accept) {
      // One that was not stored yet is on record all the same.
      for (const Stop& stop : stops()) {
        if (stop.reason == StopReason::clock && !stored_stop(tx, StopReason::clock)) {
          put_stop(tx, stop);
        }
      }
      end_stored(StopReason::clock);
      put_time(tx, now, moment);
      // What was put off by the wrong clock may lie far ahead of the right one.
      tx.jobs().hasten(tx.job_now());
    }
    if (options_.wake) tx.after_commit(options_.wake);
    crash_point("issuance.resuming");
  });
  crash_point("issuance.resumed");
  state_.with([&](State& state) {
    end(state, StopReason::by_operator);
    if (accept) {
      end(state, StopReason::clock);
      state.clock_stop_stored = true;
      state.anchor = {.time = now, .moment = moment};
    }
  });
  resumed.remaining = stops();
  for (const Stop& stop : resumed.ended) {
    log_.warning("issuance.resumed",
                 {{"reason", to_string(stop.reason)}, {"by", to_string(actor)}});
  }
  if (options_.wake) options_.wake();
  return resumed;
}

void IssuanceGate::disk_failed() {
  const bool first = state_.with([&](State& state) {
    if (state.stops.contains(StopReason::disk)) return false;
    begin(state, {.reason = StopReason::disk,
                  .since = clock_.now(),
                  .by = ServerPrincipal{},
                  .why = "The database's disk takes no more."});
    return true;
  });
  if (first) {
    log_.error("issuance.stopped", {{"reason", "disk"},
                                    {"why", "a write failed for want of room"},
                                    {"next", "make room on the disk; issuance goes on by itself"}});
  }
}

}  // namespace gatehouse::service
