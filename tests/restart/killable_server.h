// KillableServer: restart_server as a child process, killed and started again.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace gatehouse::testing {

// One process at a time. start(), kill() and stop() belong to one thread, port() to any.
class KillableServer final {
 public:
  KillableServer(std::string program, std::string folder, std::string record)
      : program_(std::move(program)), folder_(std::move(folder)), record_(std::move(record)) {}

  ~KillableServer() {
    if (pid_ > 0) kill();
  }

  KillableServer(const KillableServer&) = delete;
  KillableServer& operator=(const KillableServer&) = delete;

  // Returns when it serves. Throws when it ends before.
  void start() {
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
    char* arguments[] = {program_.data(), folder_.data(), record_.data(), nullptr};
    const int failed =
        ::posix_spawn(&pid_, program_.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to_child[0]);
    ::close(from_child[1]);
    input_ = to_child[1];
    if (failed != 0) throw std::runtime_error(program_ + " cannot be started");
    std::string line;
    char c = 0;
    while (::read(from_child[0], &c, 1) == 1 && c != '\n') line += c;
    ::close(from_child[0]);
    if (line.empty()) throw std::runtime_error("the server did not start");
    port_ = static_cast<std::uint16_t>(std::stoi(line));
  }

  // As a power cut does to the process: nothing of it runs any more when this returns.
  void kill() {
    port_ = 0;
    ::kill(pid_, SIGKILL);
    finish();
  }

  // In order. Its exit code.
  int stop() {
    port_ = 0;
    ::close(std::exchange(input_, -1));
    return finish();
  }

  // 0 while there is none.
  std::uint16_t port() const { return port_; }

 private:
  int finish() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    if (input_ >= 0) ::close(std::exchange(input_, -1));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string program_, folder_, record_;
  pid_t pid_ = -1;
  int input_ = -1;
  std::atomic<std::uint16_t> port_ = 0;
};

}  // namespace gatehouse::testing
