#include "acme-server/base/process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

using std::chrono::seconds;

// The one place where a shell is right: it plays the program.
Command shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"sh", "-c", script}, .environment = {}};
}

RunOptions in_time() {
  return {.input = {}, .deadline = Deadline::in(seconds(60))};
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator every("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(every), end(every)));
}

// Ended, even if nobody has reaped it yet.
bool is_over(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return true;
  return stat.at(stat.rfind(')') + 2) == 'Z';
}

TEST_CASE("a program's output, error and exit code are told apart") {
  const RunResult result = run_process(shell("echo out; echo err >&2; exit 3"), in_time());
  CHECK(result.end == RunEnd::exited);
  CHECK(result.status == ExitStatus(Exited{3}));
  CHECK(result.output == "out\n");
  CHECK(result.error == "err\n");
  CHECK(to_text(result.status) == "exit code 3");
}

TEST_CASE("a program that a signal ends says which") {
  const RunResult result = run_process(shell("kill -TERM $$"), in_time());
  CHECK(result.status == ExitStatus(Signalled{SIGTERM}));
  CHECK(to_text(result.status) == "signal 15");
}

TEST_CASE("a program gets arguments, environment and folder as they are given, and no others") {
  Command command = shell(R"(printf '%s|%s|%s|%s|' "$1" "$GIVEN" "$HOME" "$PWD"; pwd)");
  command.arguments.insert(command.arguments.end(), {"zero", "$(echo one); 'two'"});
  command.environment = {"GIVEN=a b"};
  command.working_directory = "/usr";
  const RunResult result = run_process(command, in_time());
  CHECK(result.output == "$(echo one); 'two'|a b||/usr|/usr\n");
}

TEST_CASE("a program reads its input to the end, however long it is") {
  const std::string input(3'000'000, 'x');
  RunOptions options = in_time();
  options.input = input;
  CHECK(run_process(shell("wc -c"), options).output == "3000000\n");
  CHECK(run_process(shell("cat"), in_time()).output.empty());
}

TEST_CASE("a program that does not read its input is no error") {
  const std::string input(3'000'000, 'x');
  RunOptions options = in_time();
  options.input = input;
  const RunResult result = run_process(shell("exec <&-; echo done"), options);
  CHECK(result.status == ExitStatus(Exited{0}));
  CHECK(result.output == "done\n");
}

TEST_CASE("output up to the limit is taken, and one octet more ends the program") {
  RunOptions options = in_time();
  options.max_output = 5;
  const RunResult fits = run_process(shell("printf 12345"), options);
  CHECK(fits.end == RunEnd::exited);
  CHECK(fits.output == "12345");
  const RunResult longer = run_process(shell("printf 123456; exec sleep 1000"), options);
  CHECK(longer.end == RunEnd::output_too_long);
  CHECK(longer.status == ExitStatus(Signalled{SIGKILL}));
  CHECK(longer.output == "12345");
  options.max_error = 5;
  CHECK(run_process(shell("while :; do echo x >&2; done"), options).end == RunEnd::output_too_long);
}

TEST_CASE("a program that takes too long is ended with all that it started") {
  RunOptions options{.input = {}, .deadline = Deadline::in(std::chrono::milliseconds(200))};
  const RunResult result = run_process(shell("sleep 1000 & echo $!; trap '' TERM; wait"), options);
  CHECK(result.end == RunEnd::deadline);
  CHECK(result.status == ExitStatus(Signalled{SIGKILL}));
  // SIGKILL has been sent to the one in the background, too: it does not take a thousand seconds.
  const pid_t left = std::stoi(result.output);
  while (!is_over(left)) std::this_thread::yield();
}

TEST_CASE("what a program leaves running neither holds up its result nor outlives it") {
  const RunResult result = run_process(shell("sleep 1000 & echo $!"), in_time());
  CHECK(result.end == RunEnd::exited);
  CHECK(result.status == ExitStatus(Exited{0}));
  const pid_t left = std::stoi(result.output);
  while (!is_over(left)) std::this_thread::yield();
}

TEST_CASE("a program or folder that is missing is named") {
  Command missing = shell("true");
  missing.program = "/no/such/program";
  CHECK_THROWS_WITH_AS(run_process(missing, in_time()),
                       "/no/such/program: it cannot be run: No such file or directory",
                       ProcessError);
  CHECK_THROWS_AS(ChildProcess{missing}, ProcessError);
  Command nowhere = shell("true");
  nowhere.working_directory = "/no/such/folder";
  CHECK_THROWS_WITH_AS(run_process(nowhere, in_time()),
                       doctest::Contains("its working directory cannot be entered"), ProcessError);
}

TEST_CASE("a program is held to its limits of memory and time") {
  Command command = shell("ulimit -v; ulimit -t");
  command.memory_limit = std::uint64_t{512} << 20U;
  command.cpu_seconds_limit = 7;
  CHECK(run_process(command, in_time()).output == "524288\n7\n");
  Command busy = shell("while :; do :; done");
  busy.cpu_seconds_limit = 1;
  const RunResult ended = run_process(busy, in_time());
  CHECK(ended.end == RunEnd::exited);
  CHECK(std::holds_alternative<Signalled>(ended.status));
}

TEST_CASE("a program has none of our descriptors, signal masks or ignored signals") {
  const int leaky = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  REQUIRE(leaky > 2);
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  struct sigaction ignored{};
  ignored.sa_handler = SIG_IGN;
  struct sigaction normal{};
  ::sigaction(SIGUSR1, &ignored, &normal);
  // One of the C library's own, which make leaves ignored: sigaction() refuses it.
  constexpr int kLibrarys = 32;
  const std::array<std::uintptr_t, 4> ignore = {reinterpret_cast<std::uintptr_t>(SIG_IGN)};
  std::array<std::uintptr_t, 4> usual{};
  REQUIRE(::syscall(SYS_rt_sigaction, kLibrarys, ignore.data(), usual.data(), 8) == 0);
  const Command self{
      .program = "/bin/cat", .arguments = {"cat", "/proc/self/status"}, .environment = {}};
  const RunResult status = run_process(self, in_time());
  const Command list{.program = "/bin/ls", .arguments = {"ls", "/proc/self/fd"}, .environment = {}};
  const RunResult descriptors = run_process(list, in_time());
  ::sigaction(SIGUSR1, &normal, nullptr);
  ::syscall(SYS_rt_sigaction, kLibrarys, usual.data(), nullptr, 8);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(leaky);
  CHECK(status.output.find("SigBlk:\t0000000000000000") != std::string::npos);
  CHECK(status.output.find("SigIgn:\t0000000000000000") != std::string::npos);
  CHECK(descriptors.output == "0\n1\n2\n3\n");  // 3: the folder that it lists
}

TEST_CASE("a program leads a group of its own") {
  const Command self{
      .program = "/bin/cat", .arguments = {"cat", "/proc/self/stat"}, .environment = {}};
  const std::string stat = run_process(self, in_time()).output;
  const std::string pid = stat.substr(0, stat.find(' '));
  // "pid (name) state ppid pgrp …"
  const std::string parent = std::to_string(::getpid());
  CHECK(stat.find(") R " + parent + " " + pid + " ") != std::string::npos);
}

TEST_CASE("no run leaves a descriptor open, however it ends") {
  Command missing = shell("true");
  missing.program = "/no/such/program";
  const auto each = [&] {
    run_process(shell("echo x"), in_time());
    RunOptions little = in_time();
    little.max_output = 1;
    run_process(shell("echo xyz"), little);
    run_process(shell("sleep 1000"),
                {.input = {}, .deadline = Deadline::in(std::chrono::milliseconds(1))});
    CHECK_THROWS_AS(run_process(missing, in_time()), ProcessError);
  };
  each();
  const std::size_t before = open_descriptors();
  each();
  CHECK(open_descriptors() == before);
}

TEST_CASE("runs on many threads at once do not mix") {
  std::vector<std::string> outputs(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      threads.emplace_back([&outputs, i] {
        for (int round = 0; round < 10; ++round) {
          outputs[i] += run_process(shell("echo " + std::to_string(i)), in_time()).output;
        }
      });
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    std::string expected;
    for (int round = 0; round < 10; ++round) expected += std::to_string(i) + "\n";
    CHECK(outputs[i] == expected);
  }
}

TEST_CASE("a child process can be signalled and waited for, and is killed when nobody waits") {
  ChildProcess child(shell("exec sleep 1000"));
  child.signal(SIGTERM);
  CHECK(child.wait() == ExitStatus(Signalled{SIGTERM}));
  child.signal(SIGTERM);  // its number is nobody's now, or another's: nothing is sent

  ChildProcess coded(shell("exit 4"));
  CHECK(coded.wait() == ExitStatus(Exited{4}));

  {
    const ChildProcess forgotten(shell("exec sleep 1000"));
  }
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no child of ours is left
  CHECK(errno == ECHILD);
}

}  // namespace
}  // namespace gatehouse
