#include "acme-server/service/stops/disk_watch.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/state.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

constexpr std::string_view kProbe = "disk.probe";  // in the store's State

// A stop ends when the floor and this part of it more are free: else it would come and go with
// every write.
constexpr std::uint64_t kRoomAbove = 8;
constexpr std::uint64_t kMebibyte = 1024 * 1024;

std::string mebibytes(std::uint64_t octets) {
  return std::to_string(octets / kMebibyte) + " MiB";
}

}  // namespace

std::uint64_t free_space_at(const std::string& path) {
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

DiskWatch::DiskWatch(store::Store& store, Clock& clock, Log& log, Metrics& metrics, Options options)
    : store_(store),
      clock_(clock),
      log_(log),
      options_(std::move(options)),
      gauge_(stop_gauge(metrics, StopReason::disk)) {}

std::optional<Stop> DiskWatch::in_force() const {
  return stop_.with([](const std::optional<Stop>& stop) { return stop; });
}

void DiskWatch::look() {
  if (!options_.free_space) return;
  const std::uint64_t free = options_.free_space();
  const std::uint64_t floor = options_.free_space_floor;
  const bool stopped = in_force().has_value();
  if (!stopped && free < floor) {
    const Stop stop =
        stop_by_server(StopReason::disk, clock_.now(),
                       mebibytes(free) + " are free on the database's disk, less than the " +
                           mebibytes(floor) + " of store.free_space_floor.");
    gauge_.set(1);
    stop_.with([&](std::optional<Stop>& held) { held = stop; });
    log_.error("issuance.stopped",
               {{"reason", "disk"}, {"why", stop.why}, {"next", "make room on the disk"}});
    return;
  }
  if (!stopped || free < floor + floor / kRoomAbove) return;
  // Room is not all: a quota, or a disk gone read-only, shows in a write alone.
  store_.write([&](store::Tx& tx) { tx.state().set(kProbe, to_rfc3339(clock_.now())); });
  gauge_.set(0);
  stop_.with([](std::optional<Stop>& held) { held.reset(); });
  log_.warning("issuance.resumed", {{"reason", "disk"}, {"free", mebibytes(free)}});
  if (options_.wake) options_.wake();
}

void DiskWatch::write_failed() {
  const bool first = stop_.with([&](std::optional<Stop>& held) {
    if (held) return false;
    held = stop_by_server(StopReason::disk, clock_.now(), "The database's disk takes no more.");
    gauge_.set(1);
    return true;
  });
  if (first) {
    log_.error("issuance.stopped", {{"reason", "disk"},
                                    {"why", "a write failed for want of room"},
                                    {"next", "make room on the disk; issuance goes on by itself"}});
  }
}

}  // namespace gatehouse::service
