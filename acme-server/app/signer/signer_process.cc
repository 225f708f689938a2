#include "acme-server/app/signer/signer_process.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "acme-server/app/server/secret_source.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/files.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/registry.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{30'000};
// One that has run for so long did start well: the next is started at once.
constexpr seconds kRanWell{10};

std::string in_folder(const std::string& folder, const std::string& path) {
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

std::vector<std::string> command_of(const config::Config& config, const std::string& backend) {
  std::vector<std::string> command = {
      "gatehouse", "signer", "--config", config.file,
      "--backend", backend,  "--parent", std::to_string(::getpid())};
  for (const std::string& setting : config.settings) {
    command.emplace_back("--set");
    command.push_back(setting);
  }
  return command;
}

// This very program. Throws std::runtime_error.
pid_t spawn(std::vector<std::string> command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  // We block signals that it must not.
  sigset_t none;
  ::sigemptyset(&none);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  pid_t child = -1;
  const int failed =
      ::posix_spawn(&child, "/proc/self/exe", nullptr, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) throw std::runtime_error(std::generic_category().message(failed));
  return child;
}

std::string outcome_of(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::string signer_socket(const config::Config& config, const std::string& backend,
                          const backends::SignerOptions& options) {
  return options.spawn ? in_folder(config.data_directory, "signer-" + backend + ".sock")
                       : in_folder(config.folder, options.socket);
}

backends::BackendContext key_context(const config::Config& config, Clock& clock, Entropy& entropy,
                                     Log& log) {
  const std::string folder = config.folder;
  return {
      .clock = clock,
      .entropy = entropy,
      .log = log,
      .public_url = config.public_url,
      .read_file = [folder](const std::string& path) { return read_file(in_folder(folder, path)); },
      .read_key_file =
          [folder](const std::string& path) {
            const std::string full = in_folder(folder, path);
            if (const auto problem = key_file_problem(full)) throw std::runtime_error(*problem);
            return read_file(full);
          },
      .resolve_secret =
          [folder](const std::string& reference) { return read_secret(reference, folder); },
      .decorate_signer = [](auto signer) { return signer; },
      .signer_socket =
          [config](const std::string& backend, const backends::SignerOptions& options) {
            return signer_socket(config, backend, options);
          }};
}

std::vector<std::string> spawned_signers(const config::Config& config) {
  std::vector<std::string> names;
  const JsonObject all(config.backends, "backends");
  for (const auto& item : config.backends.items()) {
    const JsonObject options = all.object(item.key());
    if (backends::spawns_signer(options)) names.push_back(item.key());
  }
  return names;
}

struct SignerProcess::Impl {
  struct State {
    pid_t child = -1;
    bool stopping = false;
  };

  void supervise();
  bool start_one();
  bool pause(milliseconds span);

  std::vector<std::string> command;
  std::string backend;
  Log& log;
  Guarded<State> state;
  std::jthread thread;  // starts every child: PR_SET_PDEATHSIG looks at the thread that did
};

// False when we are stopping.
bool SignerProcess::Impl::start_one() {
  return state.with([&](State& current) {
    if (current.stopping) return false;
    current.child = spawn(command);
    return true;
  });
}

bool SignerProcess::Impl::pause(milliseconds span) {
  return state.wait_for(
      span, [](const State& current) { return current.stopping; },
      [](const State& current) { return !current.stopping; });
}

void SignerProcess::Impl::supervise() {
  milliseconds wait = kFirstPause;
  for (;;) {
    const auto started = std::chrono::steady_clock::now();
    std::string why;
    try {
      if (!start_one()) return;
      const pid_t child = state.with([](const State& current) { return current.child; });
      int status = 0;
      // Not reaped before the state says that there is none: its number stays its own until then.
      siginfo_t ended{};
      while (::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) != 0 &&
             errno == EINTR) {
      }
      const bool stopping = state.with([&](State& current) {
        ::waitpid(child, &status, 0);
        current.child = -1;
        return current.stopping;
      });
      if (stopping) return;
      why = outcome_of(status);
    } catch (const std::runtime_error& error) {
      why = std::string("it cannot be started: ") + error.what();
    }
    if (std::chrono::steady_clock::now() - started >= kRanWell) wait = kFirstPause;
    log.error("signer.ended", {{"backend", backend}, {"why", why}, {"next_in_ms", wait.count()}});
    if (!pause(wait)) return;
    wait = std::min(wait * 2, kLongestPause);
  }
}

SignerProcess::SignerProcess(const config::Config& config, const std::string& backend, Log& log)
    : impl_(new Impl{.command = command_of(config, backend),
                     .backend = backend,
                     .log = log,
                     .state = {},
                     .thread = {}}) {
  impl_->thread = std::jthread([impl = impl_.get()] { impl->supervise(); });
}

SignerProcess::~SignerProcess() {
  impl_->state.with([](Impl::State& state) {
    state.stopping = true;
    if (state.child > 0) ::kill(state.child, SIGTERM);
  });
  impl_->state.notify_all();
  impl_->thread.join();
}

}  // namespace gatehouse::app
