// SIGTERM and SIGINT while the server starts.
#pragma once

#include <thread>

#include "acme-server/base/log.h"

namespace gatehouse::app {

// As long as it lives, SIGTERM and SIGINT end the process at once, with exit code 0, whatever the
// start waits for: a passphrase, a lock, a signer, DNS. Nothing is lost by it, as by any crash. The
// caller has blocked both signals in every thread; one that comes at the very end of its life stays
// pending for whoever waits next.
class StartSignals final {
 public:
  explicit StartSignals(Log& log);
  ~StartSignals();
  StartSignals(const StartSignals&) = delete;
  StartSignals& operator=(const StartSignals&) = delete;

 private:
  std::thread thread_;
};

}  // namespace gatehouse::app
