// What a signer can do once it is shut in: each call is tried by a child that has entered the
// sandbox.
#include "acme-server/app/signer/signer_sandbox.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/base/files.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // their runtime reads files
#else
constexpr bool kSanitized = false;
#endif

constexpr int kWorked = 0;
constexpr int kThrew = 250;
constexpr int kSignalled = 1000;  // and the signal's number

// What `work` gives, in a child: an errno, or kWorked.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = kThrew;
    try {
      code = work();
    } catch (...) {  // the code says so
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
}

int shut_in(const std::function<int()>& work) {
  return in_child([&] {
    app::enter_signer_sandbox();
    return work();
  });
}

// The outcome of a system call or a C library's wrapper.
int outcome(long result) {
  return result < 0 ? errno : kWorked;
}

// A call that would work outside, with arguments for which it does.
struct Row {
  std::string what;
  std::function<long()> call;
  bool sanitizers = false;  // their runtime may
};

struct Fixture {
  Fixture() {
    std::ofstream(file) << "secret";
    REQUIRE(::mkdir(folder.c_str(), 0700) == 0);
    REQUIRE(::mkdir((folder + "/empty").c_str(), 0700) == 0);
  }

  TemporaryFolder temporary;
  std::string file = temporary.path() + "/gatehouse.db";
  std::string folder = temporary.path() + "/folder";
  std::string other = temporary.path() + "/other";
  int open_file = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
};

std::vector<Row> files_of(const Fixture& f) {
  const char* const file = f.file.c_str();
  const char* const folder = f.folder.c_str();
  const char* const other = f.other.c_str();
  return {
      {"read the database", [=] { return ::open(file, O_RDONLY); }, true},
      {"list a folder", [=] { return ::open(folder, O_RDONLY | O_DIRECTORY); }, true},
      {"open to write", [=] { return ::open(file, O_WRONLY); }, kSanitized},
      {"create", [=] { return ::open(other, O_CREAT | O_RDWR, 0600); }, kSanitized},
      {"openat2",
       [=] {
         struct {
           std::uint64_t flags, mode, resolve;
         } how{};
         return ::syscall(SYS_openat2, AT_FDCWD, file, &how, sizeof(how));
       }},
      {"stat",
       [=] {
         struct stat found{};
         return ::stat(file, &found);
       },
       true},
      {"access", [=] { return ::access(file, R_OK); }},
      {"truncate", [=] { return ::truncate(file, 0); }},
      {"ftruncate", [fd = f.open_file] { return ::ftruncate(fd, 0); }},
      {"chmod", [=] { return ::chmod(file, 0644); }},
      {"fchmod", [fd = f.open_file] { return ::fchmod(fd, 0644); }},
      {"chown", [=] { return ::chown(file, ::getuid(), ::getgid()); }},
      {"rename", [=] { return ::rename(file, other); }},
      {"unlink", [=] { return ::unlink(file); }},
      {"rmdir", [path = f.folder + "/empty"] { return ::rmdir(path.c_str()); }},
      {"symlink", [=] { return ::symlink(file, other); }},
      {"link", [=] { return ::link(file, other); }},
      {"mkdir", [=] { return ::mkdir(other, 0700); }},
      {"mknod", [=] { return ::mknod(other, S_IFIFO | 0600, 0); }},
      {"utimensat", [=] { return ::utimensat(AT_FDCWD, file, nullptr, 0); }},
      {"chdir", [=] { return ::chdir(folder); }},
      {"memfd_create", [] { return ::syscall(SYS_memfd_create, "x", 0); }},
      {"inotify_init1", [] { return ::syscall(SYS_inotify_init1, 0); }},
      {"open_tree", [=] { return ::syscall(SYS_open_tree, AT_FDCWD, folder, 0); }},
  };
}

std::vector<Row> processes() {
  return {
      {"kill(0)", [] { return ::kill(0, 0); }},
      {"kill the parent", [] { return ::kill(::getppid(), 0); }},
      {"tgkill another", [] { return ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0); }},
      {"pidfd_open", [] { return ::syscall(SYS_pidfd_open, ::getppid(), 0); }},
      {"ptrace", [] { return ::syscall(SYS_ptrace, 0 /* TRACEME */, 0, 0, 0); }},
      {"fork",
       [] {
         const pid_t made = ::fork();
         if (made == 0) ::_exit(0);
         return static_cast<long>(made);
       }},
      {"execve",
       [] {
         const char* const none[] = {"/bin/true", nullptr};
         return static_cast<long>(
             ::execve("/bin/true", const_cast<char* const*>(none), const_cast<char* const*>(none)));
       }},
      {"setrlimit",
       [] {
         const rlimit most{.rlim_cur = 10, .rlim_max = 10};
         return ::setrlimit(RLIMIT_NOFILE, &most);
       }},
      {"prctl", [] { return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }, true},
      {"sched_setaffinity",
       [] {
         cpu_set_t all;
         CPU_ZERO(&all);
         CPU_SET(0, &all);
         return ::sched_setaffinity(0, sizeof(all), &all);
       }},
      {"setsid", [] { return ::setsid(); }},
      {"umask", [] { return ::syscall(SYS_umask, 0077); }},
      {"executable memory",
       [] {
         return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                        MAP_FAILED
                    ? -1L
                    : 0L;
       }},
      {"memory made executable",
       [] {
         void* page =
             ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
       }},
  };
}

std::vector<Row> sockets() {
  const auto socket_of = [](int family, int type) {
    return [=] { return ::socket(family, type, 0); };
  };
  return {
      {"unix socket", socket_of(AF_UNIX, SOCK_STREAM)},
      {"TCP", socket_of(AF_INET, SOCK_STREAM)},
      {"UDP over IPv6", socket_of(AF_INET6, SOCK_DGRAM)},
      {"netlink", socket_of(AF_NETLINK, SOCK_RAW)},
      {"socketpair",
       [] {
         int ends[2];
         return ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
       }},
      {"pipe",
       [] {
         int ends[2];
         return ::pipe(ends);
       },
       true},
      {"epoll", [] { return ::syscall(SYS_epoll_create1, 0); }},
  };
}

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.what);
    if (kSanitized && row.sanitizers) continue;
    CHECK(shut_in([&] { return outcome(row.call()); }) == EPERM);
  }
}

// Each row is worth something only if its call works without the sandbox.
void check_outside(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(in_child([&] { return outcome(row.call()); }) == kWorked);
  }
}

}  // namespace

TEST_CASE("a shut-in signer opens, changes, makes and removes no file") {
  Fixture f;
  check(files_of(f));
  CHECK(read_file(f.file) == "secret");
  CHECK(::access(f.other.c_str(), F_OK) != 0);
  for (const Row& row : files_of(f)) {
    CAPTURE(row.what);
    Fixture fresh;
    const std::vector<Row> rows = files_of(fresh);
    check_outside({*std::ranges::find(rows, row.what, &Row::what)});
  }
}

TEST_CASE("a shut-in signer starts, signals and looks into no process") {
  check(processes());
  check_outside(processes());
}

TEST_CASE("a shut-in signer makes no socket") {
  check(sockets());
  check_outside(sockets());
}

TEST_CASE("every system call that is not needed is refused by its number") {
  // The numbers with which a program can be, with arguments that do nothing: -1 is no descriptor,
  // no process and no address.
  constexpr std::array kNeeded = std::to_array<long>({
      SYS_accept4,
      SYS_recvfrom,
      SYS_sendto,
      SYS_getsockopt,
      SYS_read,
      SYS_write,
      SYS_writev,
      SYS_close,
      SYS_fstat,
      SYS_ppoll,
      SYS_brk,
      SYS_munmap,
      SYS_mremap,
      SYS_madvise,
      SYS_futex,
      SYS_set_robust_list,
      SYS_rseq,
      SYS_sched_yield,
      SYS_sched_getaffinity,
      SYS_rt_sigaction,
      SYS_rt_sigprocmask,
      SYS_rt_sigreturn,
      SYS_sigaltstack,
      SYS_exit,
      SYS_exit_group,
      SYS_restart_syscall,
      SYS_clock_gettime,
      SYS_clock_nanosleep,
      SYS_nanosleep,
      SYS_gettimeofday,
      SYS_getrandom,
      SYS_getpid,
      SYS_gettid,
      SYS_geteuid,
      SYS_clone3,
      SYS_mmap,
      SYS_mprotect,
#if defined(__x86_64__)
      SYS_poll,
#endif
  });
  if (kSanitized) return;
  constexpr long kLast = 600;  // well past the newest call
  const int bad = shut_in([&]() -> int {
    for (long call = 0; call <= kLast; ++call) {
      if (std::ranges::find(kNeeded, call) != kNeeded.end()) continue;
#if defined(__x86_64__)
      // uretprobe() and uprobe(): the kernel filters neither, and ends whoever calls them by hand.
      if (call == 335 || call == 336) continue;
#endif
      errno = 0;
      if (::syscall(call, -1L, -1L, -1L, -1L, -1L, -1L) != -1 || errno != EPERM) {
        return static_cast<int>(call % 200) + 1;
      }
    }
    return kWorked;
  });
  CHECK(bad == kWorked);
}

TEST_CASE("a shut-in process still computes, starts threads and ends as it should") {
  CHECK(shut_in([] {
          int sum = 0;
          std::thread([&] {
            const std::vector<int> many(1'000'000, 1);
            for (const int one : many) sum += one;
          }).join();
          return sum == 1'000'000 ? kWorked : 1;
        }) == kWorked);
  CHECK(shut_in([]() -> int {
          ::signal(SIGABRT, SIG_DFL);  // doctest has a handler
          std::abort();
        }) == kSignalled + SIGABRT);
  CHECK(shut_in([] {
          try {
            throw std::runtime_error("caught");
          } catch (const std::runtime_error&) {
            return kWorked;
          }
        }) == kWorked);
}

#if defined(__x86_64__)
TEST_CASE("a call by another table's number ends the process") {
  constexpr long kX32 = 0x40000000;
  CHECK(shut_in([] { return outcome(::syscall(kX32 + SYS_getpid)); }) == kSignalled + SIGSYS);
}
#endif

TEST_CASE("Landlock alone keeps the files away too, where the kernel has it") {
  Fixture f;
  bool known = true;
  const auto tried = [&](const std::function<long()>& call) {
    return in_child([&] {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return kThrew;
      return app::give_up_files() ? outcome(call()) : ENOSYS;
    });
  };
  known = tried([] { return 0L; }) != ENOSYS;
  if (!known) {
    MESSAGE("this kernel has no Landlock");
    return;
  }
  const char* const file = f.file.c_str();
  const char* const other = f.other.c_str();
  if (!kSanitized) CHECK(tried([=] { return ::open(file, O_RDONLY); }) == EACCES);
  CHECK(tried([=] { return ::open(file, O_WRONLY); }) == EACCES);
  CHECK(tried([=] { return ::unlink(file); }) == EACCES);
  CHECK(tried([=] { return ::mkdir(other, 0700); }) == EACCES);
  CHECK(tried([=] { return ::symlink(file, other); }) == EACCES);
  CHECK(read_file(f.file) == "secret");
}

}  // namespace gatehouse::testing
