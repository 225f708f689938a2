#include "acme-server/app/signer/signer_sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
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

// Calls that a signer never needs once it listens. What would be a way out of the process: another
// program, another process's memory, the network, the kernel.
constexpr auto kForbidden = std::to_array<long>({
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_socketpair,
    SYS_io_uring_setup,
    SYS_bpf,
    SYS_userfaultfd,
    SYS_perf_event_open,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_mount,
    SYS_unshare,
    SYS_setns,
    SYS_pidfd_getfd,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_kcmp,
    SYS_openat2,
#if defined(__x86_64__)
    SYS_open,  // the C library uses openat()
    SYS_creat,
#endif

});

constexpr std::uint32_t argument_at(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

sock_filter give(std::uint32_t verdict) {
  return BPF_STMT(BPF_RET | BPF_K, verdict);
}

constexpr std::uint32_t kUnixFamily = 1;  // AF_UNIX; its header is for net/ and http/ alone
constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

std::vector<sock_filter> filter() {
  std::vector<sock_filter> program = {
      load(offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      give(SECCOMP_RET_KILL_PROCESS),
      load(offsetof(seccomp_data, nr)),
  };
#if defined(__x86_64__)
  // The x32 calls have other numbers for the same things.
  constexpr std::uint32_t kX32 = 0x40000000;
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1));
  program.push_back(give(SECCOMP_RET_KILL_PROCESS));
#endif
  for (const long call : kForbidden) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    program.push_back(give(kRefuse));
  }
  // socket(): unix ones alone (syslog, name service caches of the C library).
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4));
  program.push_back(load(argument_at(0)));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kUnixFamily, 1, 0));
  program.push_back(give(kRefuse));
  program.push_back(give(SECCOMP_RET_ALLOW));
  // openat(): for reading.
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4));
  program.push_back(load(argument_at(2)));
  program.push_back(
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 1));
  program.push_back(give(kRefuse));
  program.push_back(give(SECCOMP_RET_ALLOW));
  program.push_back(give(SECCOMP_RET_ALLOW));
  return program;
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

void enter_signer_sandbox() {
  // Needs CAP_SYS_ADMIN; without it, the filter below is what keeps the network away.
  (void)::unshare(CLONE_NEWNET);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  std::vector<sock_filter> instructions = filter();
  const sock_fprog program{.len = static_cast<unsigned short>(instructions.size()),
                           .filter = instructions.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
    fail("seccomp");
  }
}

}  // namespace gatehouse::app
