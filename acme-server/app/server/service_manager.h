// The service manager that started this process (systemd), if one did: the sockets it hands over,
// and what it wants to hear.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace gatehouse::app {

// Without a manager every call does nothing and there are no sockets. One per process, made before
// other threads; the rest from the main thread.
class ServiceManager final {
 public:
  // Takes the sockets handed over (sd_listen_fds) and the watchdog's interval out of the
  // environment, so that no child inherits them. Throws std::runtime_error when two sockets have
  // one name.
  ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // The descriptor of the listening socket that the manager calls `name` (FileDescriptorName=).
  // Throws std::runtime_error that names the sockets there are. The caller owns the descriptor.
  int take_socket(const std::string& name);

  // Type=notify: what systemctl shows, and when it goes on.
  void ready(const std::string& status) const;
  void reloading() const;
  void stopping() const;

  // How often, at least, alive() must be called; none: nobody watches.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

  void alive() const;

 private:
  std::map<std::string, int> sockets_;
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace gatehouse::app
