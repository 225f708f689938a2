// KillableServer: restart_server as a child process, killed and started again.
#pragma once

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace gatehouse::testing {

// Where the next process kills itself: at the n-th pass of a crash point. Without a point nowhere.
struct Crash {
  std::string point = {};
  int pass = 1;
};

// One process at a time. port() may be called by any thread, the rest belongs to one. An end that
// is neither kill -9 nor an exit in order is thrown.
class KillableServer final {
 public:
  KillableServer(std::string program, std::string folder, std::string record)
      : program_(std::move(program)), folder_(std::move(folder)), record_(std::move(record)) {}

  ~KillableServer() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  KillableServer(const KillableServer&) = delete;
  KillableServer& operator=(const KillableServer&) = delete;

  // True when it serves, false when it was killed at `crash` before it did.
  bool start(const Crash& crash = {}) {
    const int output = spawn(crash);
    std::string line;
    char c = 0;
    while (::read(output, &c, 1) == 1 && c != '\n') line += c;
    ::close(output);
    if (line.empty()) {
      if (!finish()) throw std::runtime_error("the server ended before it served");
      return false;
    }
    port_ = static_cast<std::uint16_t>(std::stoi(line));
    return true;
  }

  // As a power cut does to the process: nothing of it runs any more when this returns.
  void kill() {
    ::kill(pid_, SIGKILL);
    finish();
  }

  // Has it end in order; wait() says when and how.
  void begin_stop() {
    if (input_ >= 0) ::close(std::exchange(input_, -1));
  }

  enum class End { none, killed, in_order };

  // `none` when it still runs after `patience`.
  End wait(std::chrono::milliseconds patience) {
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (process < 0) throw std::runtime_error("no pidfd");
    pollfd event{.fd = process, .events = POLLIN, .revents = 0};
    const int ended = ::poll(&event, 1, static_cast<int>(patience.count()));
    ::close(process);
    if (ended != 1) return End::none;
    return finish() ? End::killed : End::in_order;
  }

  // 0 while there is none.
  std::uint16_t port() const { return port_; }

 private:
  // Returns the end of the child's standard output.
  int spawn(const Crash& crash) {
    int to_child[2];
    int from_child[2];
    if (::pipe(to_child) != 0 || ::pipe(from_child) != 0) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
    for (const int end : {to_child[0], to_child[1], from_child[0], from_child[1]}) {
      posix_spawn_file_actions_addclose(&actions, end);
    }
    std::string point = crash.point;
    std::string pass = std::to_string(crash.pass);
    char* arguments[] = {program_.data(), folder_.data(),
                         record_.data(),  point.empty() ? nullptr : point.data(),
                         pass.data(),     nullptr};
    const int failed =
        ::posix_spawn(&pid_, program_.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to_child[0]);
    ::close(from_child[1]);
    input_ = to_child[1];
    if (failed != 0) throw std::runtime_error(program_ + " cannot be started");
    return from_child[0];
  }

  // True when it was killed, false when it ended in order.
  bool finish() {
    port_ = 0;
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    begin_stop();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
    throw std::runtime_error("the server failed: wait status " + std::to_string(status));
  }

  std::string program_, folder_, record_;
  pid_t pid_ = -1;
  int input_ = -1;
  std::atomic<std::uint16_t> port_ = 0;
};

}  // namespace gatehouse::testing
