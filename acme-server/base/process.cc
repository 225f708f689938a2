#include "acme-server/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/match.h"

namespace gatehouse {
namespace {

constexpr int kFirstOther = STDERR_FILENO + 1;

[[noreturn]] void fail(const std::string& what, int error) {
  throw ProcessError(what + ": " + std::generic_category().message(error));
}

// A descriptor above 2, closed on exec.
class Descriptor final {
 public:
  Descriptor() = default;

  // Takes `fd`, or throws for -1 with errno.
  Descriptor(int fd, const std::string& what) : fd_(fd) {
    if (fd_ < 0) fail(what, errno);
    if (fd_ >= kFirstOther) return;
    // Where 0, 1 or 2 was closed; the child's own go there.
    const int higher = ::fcntl(fd_, F_DUPFD_CLOEXEC, kFirstOther);
    const int error = errno;
    ::close(std::exchange(fd_, higher));
    if (fd_ < 0) fail(what, error);
  }

  ~Descriptor() { reset(); }

  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe", errno);
  Pipe pipe;
  pipe.read = Descriptor(ends[0], "pipe");
  pipe.write = Descriptor(ends[1], "pipe");
  return pipe;
}

// What a child gets as 0, 1 and 2; -1: ours.
struct Streams {
  int input = -1, output = -1, error = -1;
};

// What failed between fork and exec.
struct Failure {
  enum class Step : int { streams, limits, user, folder, descriptors, exec };
  Step step;
  int error;
};

std::string_view text_of(Failure::Step step) {
  switch (step) {
    case Failure::Step::streams:
      return "its standard streams cannot be set";
    case Failure::Step::folder:
      return "its working directory cannot be entered";
    case Failure::Step::limits:
      return "its limits cannot be set";
    case Failure::Step::user:
      return "it cannot run as its user";
    case Failure::Step::descriptors:
      return "our descriptors cannot be kept from it";
    case Failure::Step::exec:
      return "it cannot be run";
  }
  ACME_CHECK(false);
  return {};
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Everything that the child needs, made before the fork: other threads may hold malloc's lock then.
struct Plan {
  Plan(Command given, const Streams& given_streams)
      : command(std::move(given)),
        streams(given_streams),
        arguments(pointers_to(command.arguments)),
        environment(pointers_to(command.environment)) {}

  Command command;
  Streams streams;
  std::vector<char*> arguments, environment;
};

// --- between fork and exec: async-signal-safe calls alone
// -----------------------------------------

bool limit(decltype(RLIMIT_AS) resource, const std::optional<std::uint64_t>& value) {
  if (!value) return true;
  const rlimit limits{.rlim_cur = *value, .rlim_max = *value};
  return ::setrlimit(resource, &limits) == 0;
}

bool put(int fd, int target) {
  return fd < 0 || ::dup2(fd, target) == target;
}

// By the system calls: the C library's functions take locks to tell other threads.
bool become_user(const RunAs& user) {
  return ::syscall(SYS_setgroups, 0, nullptr) == 0 &&
         ::syscall(SYS_setresgid, user.group, user.group, user.group) == 0 &&
         ::syscall(SYS_setresuid, user.user, user.user, user.user) == 0;
}

// Gives what failed, with errno; returns from a failure alone.
Failure::Step become(const Plan& plan) {
  ::setpgid(0, 0);
  // What we ignore or block is no business of the program's.
  // By the system call: the C library refuses two signals of its own, which make's commands, for
  // one, inherit ignored. All zeros are the kernel's SIG_DFL without flags or mask.
  const std::array<unsigned long, 4> normal{};
  for (int number = 1; number < NSIG; ++number) {
    ::syscall(SYS_rt_sigaction, number, normal.data(), nullptr, NSIG / CHAR_BIT);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!put(plan.streams.input, STDIN_FILENO) || !put(plan.streams.output, STDOUT_FILENO) ||
      !put(plan.streams.error, STDERR_FILENO)) {
    return Failure::Step::streams;
  }
  if (!limit(RLIMIT_AS, plan.command.memory_limit) ||
      !limit(RLIMIT_CPU, plan.command.cpu_seconds_limit)) {
    return Failure::Step::limits;
  }
  if (plan.command.run_as && !become_user(*plan.command.run_as)) return Failure::Step::user;
  if (::chdir(plan.command.working_directory.c_str()) != 0) return Failure::Step::folder;
  // Not every descriptor of ours need have been opened with O_CLOEXEC, or by us.
  if (::close_range(kFirstOther, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) {
    return Failure::Step::descriptors;
  }
  ::execve(plan.command.program.c_str(), plan.arguments.data(), plan.environment.data());
  return Failure::Step::exec;
}

[[noreturn]] void run_child(const Plan& plan, int report) {
  const Failure::Step step = become(plan);
  const Failure failure{.step = step, .error = errno};
  // Shorter than PIPE_BUF: whole or not at all.
  const bool told = ::write(report, &failure, sizeof failure) == sizeof failure;
  ::_exit(told ? 127 : 126);
}

// --- the parent
// -----------------------------------------------------------------------------------

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Nothing when the program runs.
std::optional<Failure> read_failure(int report) {
  Failure failure{};
  ssize_t got = 0;
  while ((got = ::read(report, &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  return got == sizeof failure ? std::optional(failure) : std::nullopt;
}

// The child, which runs the program already. Throws ProcessError.
pid_t spawn(const Command& command, const Streams& streams) {
  const Plan plan(command, streams);
  Pipe report = make_pipe();
  // No handler of ours runs in the child.
  sigset_t every;
  sigset_t before;
  ::sigfillset(&every);
  ::pthread_sigmask(SIG_SETMASK, &every, &before);
  const pid_t child = ::fork();
  if (child == 0) run_child(plan, report.write.get());
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) fail(command.program, error);
  report.write.reset();
  if (const auto failure = read_failure(report.read.get())) {
    wait_for(child);
    fail(command.program + ": " + std::string(text_of(failure->step)), failure->error);
  }
  return child;
}

ExitStatus status_of(int status) {
  if (WIFSIGNALED(status)) return Signalled{WTERMSIG(status)};
  return Exited{WEXITSTATUS(status)};
}

// Until it has ended. It is not reaped, so that its number and its group's stay its own.
void wait_without_reaping(pid_t child) {
  siginfo_t ended{};
  while (::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
}

// A file in memory that is read from its beginning: nobody has to write while a program reads.
Descriptor input_file(std::string_view input) {
  Descriptor file(::memfd_create("input", MFD_CLOEXEC), "memfd_create");
  while (!input.empty()) {
    const ssize_t written = ::write(file.get(), input.data(), input.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("the program's input cannot be stored", errno);
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) fail("lseek", errno);
  return file;
}

// One stream of the program's as it comes.
struct Collector {
  Descriptor source;
  std::string& text;
  std::size_t limit;
  bool too_long = false;

  // Everything that is there now. Closes the source at its end, and at the limit.
  void take() {
    std::array<char, 16 * 1024> piece{};
    while (source.get() >= 0) {
      const ssize_t got = ::read(source.get(), piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return source.reset();
      const std::size_t room = limit - text.size();
      text.append(piece.data(), std::min(room, static_cast<std::size_t>(got)));
      if (std::cmp_greater(got, room)) {
        too_long = true;
        return source.reset();
      }
    }
  }
};

Collector collector(Pipe& pipe, std::string& text, std::size_t limit) {
  pipe.write.reset();
  ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  return {.source = std::move(pipe.read), .text = text, .limit = limit};
}

// Reads until the program ends, writes too much, or its time is over.
RunEnd collect(int process, Collector& output, Collector& error, Deadline deadline) {
  for (;;) {
    std::array<pollfd, 3> waited = {pollfd{.fd = process, .events = POLLIN, .revents = 0},
                                    {.fd = output.source.get(), .events = POLLIN, .revents = 0},
                                    {.fd = error.source.get(), .events = POLLIN, .revents = 0}};
    const auto left = std::min<std::int64_t>(deadline.remaining().count(), INT_MAX);
    const int ready = ::poll(waited.data(), waited.size(), static_cast<int>(left));
    if (ready < 0 && errno != EINTR) fail("poll", errno);
    output.take();
    error.take();
    if (output.too_long || error.too_long) return RunEnd::output_too_long;
    if (ready > 0 && waited[0].revents != 0) {
      // Once more: what it wrote right before its end.
      output.take();
      error.take();
      return output.too_long || error.too_long ? RunEnd::output_too_long : RunEnd::exited;
    }
    if (deadline.expired()) return RunEnd::deadline;
  }
}

}  // namespace

std::optional<RunAs> find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  // More than any entry needs; one that is larger is not found.
  std::vector<char> space(std::size_t{64} << 10U);
  if (::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0 ||
      found == nullptr) {
    return std::nullopt;
  }
  return RunAs{.user = entry.pw_uid, .group = entry.pw_gid};
}

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** each = environ; *each != nullptr; ++each) all.emplace_back(*each);
  return all;
}

std::string to_text(const ExitStatus& status) {
  return std::visit(
      Match{[](const Exited& exited) { return "exit code " + std::to_string(exited.code); },
            [](const Signalled& by) { return "signal " + std::to_string(by.signal); }},
      status);
}

ChildProcess::ChildProcess(const Command& command) : pid_(spawn(command, {})) {}

ChildProcess::~ChildProcess() {
  const pid_t child = pid_.with([](pid_t pid) { return pid; });
  if (child < 0) return;
  ::kill(-child, SIGKILL);
  wait_for(child);
}

ExitStatus ChildProcess::wait() {
  const pid_t child = pid_.with([](pid_t pid) { return pid; });
  ACME_CHECK(child > 0);
  wait_without_reaping(child);
  // Under the lock: nobody signals a number that is no longer the child's.
  return pid_.with([&](pid_t& pid) { return status_of(wait_for(std::exchange(pid, -1))); });
}

void ChildProcess::signal(int number) {
  pid_.with([&](pid_t pid) {
    if (pid > 0) ::kill(pid, number);
  });
}

RunResult run_process(const Command& command, const RunOptions& options) {
  RunResult result;
  Pipe output = make_pipe();
  Pipe error = make_pipe();
  const Descriptor input = input_file(options.input);
  const pid_t child = spawn(
      command, {.input = input.get(), .output = output.write.get(), .error = error.write.get()});

  // From here on the child is ended and reaped whatever happens.
  struct Reaper {
    pid_t child;
    ExitStatus& status;

    ~Reaper() {
      ::kill(-child, SIGKILL);
      status = status_of(wait_for(child));
    }
  };

  try {
    const Reaper reaper{.child = child, .status = result.status};
    // The C library's header for it is no C++ (glibc 2.36).
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)), "pidfd_open");
    Collector from_output = collector(output, result.output, options.max_output);
    Collector from_error = collector(error, result.error, options.max_error);
    result.end = collect(process.get(), from_output, from_error, options.deadline);
  } catch (const ProcessError& failure) {
    // No ProcessError to our caller: the program has run.
    throw std::runtime_error(command.program + ": " + failure.what());
  }
  return result;
}

}  // namespace gatehouse
