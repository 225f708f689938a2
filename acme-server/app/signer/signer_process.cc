#include "acme-server/app/signer/signer_process.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/app/server/secret_source.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/process.h"
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

// This very program, where and with what we run ourselves: the config's path may be relative, and
// passphrases may come from the environment.
Command command_of(const config::Config& config, const std::string& backend) {
  std::vector<std::string> arguments = {
      "gatehouse", "signer", "--config", config.file,
      "--backend", backend,  "--parent", std::to_string(::getpid())};
  for (const std::string& setting : config.settings) {
    arguments.emplace_back("--set");
    arguments.push_back(setting);
  }
  return {.program = "/proc/self/exe",
          .arguments = std::move(arguments),
          .environment = own_environment(),
          .working_directory = std::filesystem::current_path().string()};
}

}  // namespace

backends::BackendContext key_context(const config::Config& config, Clock& clock, Entropy& entropy,
                                     Log& log) {
  const std::string folder = config.folder;
  return {
      .clock = clock,
      .entropy = entropy,
      .log = log,
      .public_url = config.public_url,
      .read_file = [folder](const std::string& path) { return read_file(path_in(folder, path)); },
      .read_key_file =
          [folder](const std::string& path) {
            const std::string full = path_in(folder, path);
            if (const auto problem = key_file_problem(full)) throw std::runtime_error(*problem);
            return read_file(full);
          },
      .resolve_secret =
          [folder](const std::string& reference) { return read_secret(reference, folder); },
      .decorate_signer = [](auto signer) { return signer; },
      .config_folder = config.folder,
      .data_directory = config.data_directory};
}

std::vector<std::string> spawned_signers(const config::Config& config) {
  std::vector<std::string> names;
  const JsonObject all(config.backends, "backends");
  for (const auto& item : config.backends.items()) {
    const JsonObject options = all.object(item.key());
    if (backends::spawns_local_signer(options)) names.push_back(item.key());
  }
  return names;
}

struct SignerProcess::Impl {
  struct State {
    std::shared_ptr<ChildProcess> child;  // null: none runs
    bool stopping = false;
  };

  void supervise();
  std::shared_ptr<ChildProcess> start_one();
  bool pause(milliseconds span);

  Command command;
  std::string backend;
  Log& log;
  Guarded<State> state;
  std::jthread thread;  // starts every child: PR_SET_PDEATHSIG looks at the thread that did
};

// Null when we are stopping. Throws ProcessError.
std::shared_ptr<ChildProcess> SignerProcess::Impl::start_one() {
  return state.with([&](State& current) {
    if (!current.stopping) current.child = std::make_shared<ChildProcess>(command);
    return current.stopping ? nullptr : current.child;
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
      const std::shared_ptr<ChildProcess> child = start_one();
      if (!child) return;
      const ExitStatus status = child->wait();
      const bool stopping = state.with([](State& current) {
        current.child.reset();
        return current.stopping;
      });
      if (stopping) return;
      why = to_text(status);
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
    if (state.child) state.child->signal(SIGTERM);
  });
  impl_->state.notify_all();
  impl_->thread.join();
}

}  // namespace gatehouse::app
