#include "acme-server/app/cli/start_signals.h"

#include <pthread.h>
#include <signal.h>

#include <cstdlib>
#include <initializer_list>
#include <thread>

#include "acme-server/app/cli/cli.h"
#include "acme-server/base/log.h"

namespace gatehouse::app {

namespace {

constexpr int kStartIsOver = SIGUSR1;  // to the thread alone, which has it blocked

sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) ::sigaddset(&set, number);
  return set;
}

void wait_for_end(Log& log) {
  const sigset_t awaited = set_of({SIGTERM, SIGINT, kStartIsOver});
  int number = 0;
  while (::sigwait(&awaited, &number) != 0) {
  }
  if (number == kStartIsOver) return;
  log.info("server.stopped", {{"while", "starting"}});
  // No destructor could run while another thread is in the middle of the start.
  std::_Exit(kDone);
}

}  // namespace

StartSignals::StartSignals(Log& log) {
  // The thread must have it blocked before anybody can send it.
  const sigset_t over = set_of({kStartIsOver});
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &over, &before);
  thread_ = std::thread([&log] { wait_for_end(log); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StartSignals::~StartSignals() {
  ::pthread_kill(thread_.native_handle(), kStartIsOver);
  thread_.join();
}

}  // namespace gatehouse::app
