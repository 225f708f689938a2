#include "acme-server/app/server/service_manager.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "acme-server/base/text.h"

namespace gatehouse::app {

ServiceManager::ServiceManager() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  if (count < 0) {
    throw std::runtime_error("the sockets of the service manager cannot be taken over: " +
                             std::generic_category().message(-count));
  }
  std::string twice;
  for (int i = 0; i < count; ++i) {
    if (!sockets_.emplace(names[i], SD_LISTEN_FDS_START + i).second) twice = names[i];
    ::free(names[i]);  // NOLINT(cppcoreguidelines-no-malloc): sd_listen_fds_with_names(3) says so
  }
  ::free(static_cast<void*>(names));  // NOLINT(cppcoreguidelines-no-malloc): likewise
  if (!twice.empty()) {
    throw std::runtime_error("two sockets of the service manager are called \"" +
                             sanitize(twice, 100) +
                             "\"; give each its own FileDescriptorName= in its .socket unit");
  }
  std::uint64_t interval = 0;
  if (::sd_watchdog_enabled(1, &interval) > 0) watchdog_ = std::chrono::microseconds(interval);
}

int ServiceManager::take_socket(const std::string& name) {
  const auto node = sockets_.extract(name);
  if (!node.empty()) return node.mapped();
  std::vector<std::string> known;
  for (const auto& [there, descriptor] : sockets_) known.push_back(there);
  throw std::runtime_error(
      "the service manager has handed over no socket called \"" + name + "\"" +
      (known.empty() ? "; start through the .socket unit, or give the listener an address"
                     : "; those not yet taken are: " + join(known, ", ")));
}

void ServiceManager::ready(const std::string& status) const {
  ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void ServiceManager::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto since_boot = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(since_boot).count();
  ::sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(count)).c_str());
}

void ServiceManager::stopping() const {
  ::sd_notify(0, "STOPPING=1\nSTATUS=Finishing the requests in flight");
}

void ServiceManager::alive() const {
  ::sd_notify(0, "WATCHDOG=1");
}

}  // namespace gatehouse::app
