// Programs that we run: no shell, nothing inherited but what is given, and an end to all of it.
//
// A child leads a process group of its own, gets its arguments, environment and working directory
// in full, has no descriptor of ours but 0, 1 and 2, no blocked signals, and its own resource
// limits.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/guarded.h"

namespace gatehouse {

// The program could not be started; what() names it and says why.
class ProcessError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Whom a program runs as; it keeps no other group of ours.
struct RunAs {
  uid_t user = 0;
  gid_t group = 0;

  friend bool operator==(const RunAs&, const RunAs&) = default;
};

// The user of that name and its group; nothing when there is none.
std::optional<RunAs> find_user(const std::string& name);

struct Command {
  std::string program;                   // its path; PATH is not searched
  std::vector<std::string> arguments;    // argv, the program's own name first
  std::vector<std::string> environment;  // "NAME=value": these and no others
  std::string working_directory = "/";
  std::optional<std::uint64_t> memory_limit = {};       // RLIMIT_AS, octets; nothing: ours
  std::optional<std::uint64_t> cpu_seconds_limit = {};  // RLIMIT_CPU; nothing: ours
  std::optional<RunAs> run_as = {};                     // nothing: as we; else we must be root
};

// Our own environment, for a program that is to have it.
std::vector<std::string> own_environment();

struct Exited {
  int code = 0;

  friend bool operator==(const Exited&, const Exited&) = default;
};

struct Signalled {
  int signal = 0;

  friend bool operator==(const Signalled&, const Signalled&) = default;
};

using ExitStatus = std::variant<Exited, Signalled>;

// "exit code 3", "signal 9".
std::string to_text(const ExitStatus& status);

// A child with our standard input, output and error. Safe to call from many threads; wait() by one.
// Its destructor kills the group of a child that has not been waited for, and waits.
class ChildProcess final {
 public:
  // Throws ProcessError.
  explicit ChildProcess(const Command& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Until it has ended. Once.
  ExitStatus wait();

  // To the child alone. Nothing happens when it has been waited for: its number may be another's.
  void signal(int number);

 private:
  Guarded<pid_t> pid_;  // -1 once it has been waited for
};

// How a run ended.
enum class RunEnd {
  exited,           // by itself, or by a signal of others; see `status`
  deadline,         // it took too long
  output_too_long,  // it wrote more than was allowed
};

struct RunResult {
  RunEnd end = RunEnd::exited;
  ExitStatus status;
  std::string output, error;  // what it wrote, up to the limits
};

struct RunOptions {
  std::string_view input = {};                     // given on its standard input, which then ends
  std::size_t max_output = std::size_t{1} << 20U;  // octets
  std::size_t max_error = std::size_t{64} << 10U;  // octets
  Deadline deadline;
};

// Runs a program to its end and gives what it wrote. Its whole group is ended by SIGKILL at the
// deadline, when it writes too much, and also after a good end: what it has left running does not
// outlive the run. A program that does not read its input is no error. Blocks. Throws ProcessError
// when the program has not run at all, and another std::runtime_error for what failed later.
RunResult run_process(const Command& command, const RunOptions& options);

}  // namespace gatehouse
