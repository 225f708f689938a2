// The program as an operator starts it: arguments in, what it prints and its exit code out.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/http/socket.h"
#include "tests/support/paths.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {

// `gatehouse` with its output on one pipe.
class Program final {
 public:
  // `gatehouse ARGUMENTS`.
  explicit Program(std::vector<std::string> arguments)
      : Program(binary_directory() + "/gatehouse", std::move(arguments)) {}

  // Any program, by its path or as PATH knows it.
  Program(const std::string& file, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), file);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    REQUIRE(::posix_spawnp(&pid_, pointers[0], &actions, nullptr, pointers.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    output_ = ends[0];
  }

  ~Program() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
    ::close(output_);
  }

  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Until `what` was printed, behind the first `from` characters; false when the program ends
  // before.
  bool prints(std::string_view what, std::size_t from = 0) {
    while (printed_.find(what, from) == std::string::npos) {
      if (!fill()) return false;
    }
    return true;
  }

  // Nothing once it has been waited for: kill(2) of -1 is every process there is.
  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
  }

  // Its exit code; -1 when a signal ended it.
  int wait() {
    if (pid_ <= 0) return -1;
    while (fill()) {
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  const std::string& printed() const { return printed_; }

 private:
  bool fill() {
    std::array<char, 4096> piece{};
    const ssize_t got = ::read(output_, piece.data(), piece.size());
    if (got <= 0) return false;
    printed_.append(piece.data(), static_cast<std::size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  std::string printed_;
};

struct Outcome {
  int code = 0;
  std::string printed;
};

inline Outcome run(std::vector<std::string> arguments) {
  Program program(std::move(arguments));
  const int code = program.wait();
  return {.code = code, .printed = program.printed()};
}

// A folder made by `gatehouse init`.
struct Installation {
  Installation() {
    const Outcome made = run({"init", "--directory", home(), "--base-url", "https://localhost",
                              "--public-url", "http://localhost", "--name", "Test"});
    REQUIRE_MESSAGE(made.code == 0, made.printed);
  }

  std::string home() const { return folder.path() + "/home"; }

  std::string config() const { return home() + "/gatehouse.json"; }

  TemporaryFolder folder;
};

// A port that was free just now.
inline std::string free_port() {
  const auto socket =
      http::open_listener({.name = "probe",
                           .address = http::TcpAddress{.address = "127.0.0.1", .port = 0},
                           .tls = {},
                           .origins = {}});
  return std::to_string(socket.address().port);
}

// Arguments of `serve` for it, with ACME and operations on these ports of loopback.
inline std::vector<std::string> serve_arguments(const Installation& made, const std::string& port,
                                                const std::string& operations) {
  return {"serve", "--config", made.config(), "--set",
          R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + port +
              R"(}],"public":[],"operations":[{"address":"127.0.0.1","port":)" + operations +
              "}]}"};
}

}  // namespace gatehouse::testing
