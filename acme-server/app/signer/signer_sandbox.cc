#include "acme-server/app/signer/signer_sandbox.h"

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace gatehouse::app {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "name this machine's AUDIT_ARCH"
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// All that a signer does once its keys are read and its socket listens: take connections, read,
// write, wait, compute, start threads, end. No file is opened, not even for reading: the database
// and other keys may lie beside the config, readable by the same user.
constexpr auto kAllowed = std::to_array<long>({
    // Connections and the log.
    SYS_accept4,
    SYS_recvfrom,
    SYS_sendto,
    SYS_getsockopt,  // SO_PEERCRED
    SYS_read,
    SYS_write,
    SYS_writev,
    SYS_close,
    SYS_fstat,
    SYS_ppoll,
#if defined(__x86_64__)
    SYS_poll,
#endif
    // Memory, without PROT_EXEC: see below.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    // Threads; clone() is below.
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
    // Times, random octets, who we are.
    SYS_restart_syscall,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_getpid,
    SYS_gettid,
    SYS_geteuid,
});

// What the sanitizers' own threads and reports do on top. Never in a build that is shipped.
constexpr auto kAllowedWhenSanitized = std::to_array<long>({
    SYS_openat,
    SYS_newfstatat,
    SYS_lseek,
    SYS_readlinkat,
    SYS_pipe2,  // UBSan tries by it whether memory can be read
    SYS_getuid,
    SYS_getrusage,
    SYS_prctl,
    SYS_fcntl,
    SYS_ioctl,
#if defined(__x86_64__)
    SYS_open,
    SYS_readlink,
    SYS_pipe,
    SYS_stat,
#endif
});

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
// The C library starts a thread by clone() where clone3() is unknown, and only clone()'s flags can
// be looked at: those of clone3() lie in memory.
constexpr std::uint32_t kUnknown = SECCOMP_RET_ERRNO | ENOSYS;
// As pthread_create() has them. CLONE_THREAD must be there; a process or a namespace is refused.
constexpr std::uint32_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                                       CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                                       CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED;

constexpr std::uint32_t argument_at(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

// A BPF program under construction. The number of the call is loaded before each of these.
class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    give(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
    // The x32 calls have other numbers for the same things.
    constexpr std::uint32_t kX32 = 0x40000000;
    add(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1));
    give(SECCOMP_RET_KILL_PROCESS);
#endif
  }

  void on(long call, std::uint32_t verdict) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    give(verdict);
  }

  // Allowed when argument `index` has none of `forbidden`, and all of `needed` when that is one
  // flag. The upper halves of arguments are no flags of these calls.
  void on_flags(long call, unsigned index, std::uint32_t forbidden, std::uint32_t needed = 0) {
    const std::uint8_t body = needed == 0 ? 4 : 6;
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, body));
    load(argument_at(index));
    add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, forbidden, 0, 1));
    give(kRefuse);
    if (needed != 0) {
      add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, needed, 1, 0));
      give(kRefuse);
    }
    give(SECCOMP_RET_ALLOW);
  }

  // Allowed when argument `index` is `value`.
  void on_value(long call, unsigned index, std::uint32_t value) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 4));
    load(argument_at(index));
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    give(kRefuse);
    give(SECCOMP_RET_ALLOW);
  }

  // The end of the program: what was not named gets `verdict`.
  std::vector<sock_filter> otherwise(std::uint32_t verdict) && {
    give(verdict);
    return std::move(program_);
  }

 private:
  void add(sock_filter instruction) { program_.push_back(instruction); }

  void load(std::size_t offset) {
    add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }

  void give(std::uint32_t verdict) { add(BPF_STMT(BPF_RET | BPF_K, verdict)); }

  std::vector<sock_filter> program_;
};

std::vector<sock_filter> filter() {
  Filter filter;
  for (const long call : kAllowed) filter.on(call, SECCOMP_RET_ALLOW);
  if constexpr (kSanitized) {
    for (const long call : kAllowedWhenSanitized) filter.on(call, SECCOMP_RET_ALLOW);
  }
  filter.on(SYS_clone3, kUnknown);
  filter.on_flags(SYS_clone, 0, ~kThreadFlags, CLONE_THREAD);
  filter.on_flags(SYS_mmap, 2, PROT_EXEC);
  filter.on_flags(SYS_mprotect, 2, PROT_EXEC);
  // abort() and raise(): to this process alone.
  filter.on_value(SYS_tgkill, 0, static_cast<std::uint32_t>(::getpid()));
  return std::move(filter).otherwise(kRefuse);
}

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("the signer cannot shut itself in: " + what + ": " +
                           std::generic_category().message(errno));
}

}  // namespace

void die_with_parent(int parent) {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (parent == 0) return;
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail("PR_SET_PDEATHSIG");
  if (::getppid() != parent) {  // it died before the line above
    throw std::runtime_error(
        "process " + std::to_string(parent) +
        " did not start this signer, or is gone; leave --parent to the server");
  }
}

bool give_up_files() {
  // The rights of each version of Landlock, whatever this machine's headers know of: 13 at first,
  // REFER and TRUNCATE later, IOCTL_DEV with the fifth. Rights to a kernel that has no such are an
  // error.
  constexpr std::uint64_t kFirstRights = (1U << 13U) - 1;
  constexpr std::uint64_t kRefer = 1U << 13U;
  constexpr std::uint64_t kTruncate = 1U << 14U;
  constexpr std::uint64_t kIoctlOnDevices = 1U << 15U;
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0,
                                 std::uint32_t{LANDLOCK_CREATE_RULESET_VERSION});
  if (version < 1) return false;
  landlock_ruleset_attr rights{};
  rights.handled_access_fs = kFirstRights | (version >= 2 ? kRefer : 0) |
                             (version >= 3 ? kTruncate : 0) | (version >= 5 ? kIoctlOnDevices : 0);
  if constexpr (kSanitized) {
    rights.handled_access_fs &=
        ~std::uint64_t{LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR};
  }
  const long rules =
      ::syscall(SYS_landlock_create_ruleset, &rights, sizeof(rights.handled_access_fs), 0);
  if (rules < 0) fail("landlock_create_ruleset");
  // Without a rule that gives a right back, none is left.
  const bool restricted = ::syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  const int error = errno;
  ::close(static_cast<int>(rules));
  errno = error;
  if (!restricted) fail("landlock_restrict_self");
  return true;
}

void enter_signer_sandbox() {
  // Needs CAP_SYS_ADMIN; without it, the filter below is what keeps the network away.
  (void)::unshare(CLONE_NEWNET);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  // A second wall behind the filter, for what a mistake in it would let through.
  (void)give_up_files();
  std::vector<sock_filter> instructions = filter();
  const sock_fprog program{.len = static_cast<unsigned short>(instructions.size()),
                           .filter = instructions.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
    fail("seccomp");
  }
}

}  // namespace gatehouse::app
