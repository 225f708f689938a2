#include "acme-server/base/uptime.h"

#include <time.h>

#include <chrono>
#include <fstream>
#include <string>

#include "acme-server/base/check.h"

namespace gatehouse {

MachineUptime::MachineUptime() {
  // Unreadable in some sandboxes (systemd's ProcSubset=pid): then each process is a boot of its
  // own.
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::getline(file, boot_);
}

UptimeMoment MachineUptime::now() const {
  timespec time{};
  ACME_CHECK(::clock_gettime(CLOCK_BOOTTIME, &time) == 0);
  return {.boot = boot_, .since_boot = std::chrono::seconds(time.tv_sec)};
}

}  // namespace gatehouse
