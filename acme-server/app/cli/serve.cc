// `gatehouse serve` and `gatehouse check-config`.
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/config_file.h"
#include "acme-server/app/cli/start_signals.h"
#include "acme-server/app/commands/table.h"
#include "acme-server/app/server/config_checks.h"
#include "acme-server/app/server/config_looks.h"
#include "acme-server/app/server/dry_run.h"
#include "acme-server/app/server/host.h"
#include "acme-server/app/server/service_manager.h"
#include "acme-server/app/server/start_report.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "config/config.h"
#include "config/faults.h"

namespace gatehouse::app {

namespace {

constexpr const char* kServeFooter =
    "DESCRIPTION\n"
    "  Serves ACME on the config's \"acme\" listeners, CRLs and issuers on \"public\", health and\n"
    "  metrics on \"operations\". Everything is looked at before the first listener opens; what is "
    "in\n"
    "  the way is one line on standard error. The listener's own certificate is issued at the "
    "first\n"
    "  start and renewed by itself. The log goes to standard error.\n"
    "\n"
    "  Any option of the config can be set here: --set validators.http01.port=5002. The value is "
    "read\n"
    "  as JSON, or else as text.\n"
    "\n"
    "SIGNALS\n"
    "  TERM, INT  stop: no new connections, requests in flight are answered (limits.drain), work "
    "that\n"
    "             is begun and not finished is taken up at the next start; at once while it "
    "starts\n"
    "  HUP        reload directories (profiles, terms, key policies, limits per account), hosts "
    "and\n"
    "             proxies from the config, limits and log.level, and listener certificates from\n"
    "             their files; what is bad changes nothing and is logged\n"
    "\n"
    "EXAMPLES\n"
    "  gatehouse serve --config /etc/gatehouse/gatehouse.json\n"
    "  gatehouse serve --config gatehouse.json --set log.format=console --set log.level=debug";

constexpr const char* kCheckFooter =
    "DESCRIPTION\n"
    "  Reads the config as serve would, and says all that is wrong with it at once: each mistake "
    "with\n"
    "  its line, the option's path and what is allowed. Warns of durations without a unit, which "
    "are\n"
    "  seconds. Tries out what would be issued: the server's own certificate and one of each "
    "profile\n"
    "  must be such that verifiers accept them under the CA. Looks into the database for "
    "certificates\n"
    "  that a backend is missing for. Lists what the config names, and whether it is good: keys, "
    "files\n"
    "  of listeners, the database, ports. What this user may not read is not looked at; no CA and "
    "no DNS\n"
    "  server is asked. Changes nothing, takes no lock and listens nowhere, so it can run beside "
    "a\n"
    "  server. Exit code 2: a person must mend it; 1: it may pass by itself, such as a port in "
    "use.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse check-config --config gatehouse.json && systemctl reload gatehouse";

struct Arguments {
  std::string config;
  std::vector<std::string> settings;
};

// Keys are in this process's memory: none of it goes into a core file, nor to a debugger of ours.
void forbid_core_dumps() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// An arena a core: of glibc's eight a core, each keeps for itself what a busy minute freed.
// Before the first thread.
void share_arenas() {
  ::mallopt(M_ARENA_MAX, std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
}

// The signals that we wait for; blocked in this thread, and so in all that it starts.
sigset_t block_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Listeners that go by the service manager's names get its sockets.
void take_sockets(config::Config& config, ServiceManager& manager) {
  config::for_each_listener(config, [&](config::ListenerConfig& listener, auto) {
    if (listener.socket_name.empty()) return;
    listener.listener.address =
        http::InheritedSocket{.descriptor = manager.take_socket(listener.socket_name)};
  });
}

struct Signal {
  int number = 0;
  Principal by;  // whose process has sent it
};

Signal signal_of(const siginfo_t& info) {
  if (info.si_code != SI_USER && info.si_code != SI_QUEUE) {
    return {.number = info.si_signo, .by = ServerPrincipal{}};  // a terminal's, or a timer's
  }
  return {.number = info.si_signo, .by = OperatorByUid{info.si_uid}};
}

// Waits for a signal, and tells a watchdog meanwhile that the server lives: only while it does.
Signal next_signal(const sigset_t& signals, const ServiceManager& manager, const Host& host) {
  siginfo_t info{};
  if (!manager.watchdog()) {
    while (::sigwaitinfo(&signals, &info) < 0) {
    }
    return signal_of(info);
  }
  const std::chrono::microseconds interval = *manager.watchdog();
  const auto pause = std::chrono::duration_cast<std::chrono::nanoseconds>(interval / 3);
  const auto whole = std::chrono::floor<std::chrono::seconds>(pause);
  const timespec wait{.tv_sec = whole.count(), .tv_nsec = (pause - whole).count()};
  for (;;) {
    if (::sigtimedwait(&signals, &info, &wait) > 0) return signal_of(info);
    if (host.silence() < interval / 2) manager.alive();
  }
}

int serve_until_stopped(config::Config config, Log& log, const sigset_t& signals,
                        ServiceManager& manager) {
  std::vector<config::Config> configs;
  configs.push_back(std::move(config));
  std::optional<StartSignals> until_started(std::in_place, log);
  Host host(std::move(configs), log, {});
  for (const std::string& line : host.start()) log.info("server.start", {{"line", line}});
  until_started.reset();
  log.info("server.ready");
  manager.ready("Serving");

  Signal signal = next_signal(signals, manager, host);
  for (; signal.number == SIGHUP; signal = next_signal(signals, manager, host)) {
    log.info("server.reload", {{"by", to_string(signal.by)}});
    manager.reloading();
    manager.ready(host.reload(signal.by) ? "Serving"
                                         : "Serving; the last reload was refused, see the log");
  }
  manager.stopping();
  log.info("server.stopping",
           {{"by", to_string(signal.by)}, {"signal", ::sigabbrev_np(signal.number)}});
  const bool drained = host.stop(signal.by);
  log.info("server.stopped", {{"drained", drained}});
  return drained ? kDone : kFailed;
}

int serve(const Arguments& arguments) {
  forbid_core_dumps();
  share_arenas();
  const sigset_t signals = block_signals();
  ServiceManager manager;
  config::Config config = config::load_config(config_file(arguments.config), arguments.settings);
  take_sockets(config, manager);
  Log log({.format = config.log.format, .level = config.log.level, .sink = {}});
  // What is wrong in the config is told as by every command. All else on standard error is the
  // log's, the last line too.
  try {
    return serve_until_stopped(std::move(config), log, signals, manager);
  } catch (const config::ConfigError&) {
    throw;
  } catch (...) {
    return run_told([]() -> int { throw; },
                    [&](const std::string& why) { log.error("server.failed", {{"why", why}}); });
  }
}

// Prints what is wrong, a line for each, as serve says the first of them.
int refuse(const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) std::cerr << "gatehouse: " << fault << '\n';
  return kRefused;
}

bool has(const std::vector<Look>& looks, Look::Result result) {
  return std::ranges::find(looks, result, &Look::result) != looks.end();
}

// Prints what is wrong, a line for each.
int tell_wrong(const std::vector<Look>& looks) {
  for (const Look& look : looks) {
    if (look.result != Look::Result::wrong && look.result != Look::Result::passes) continue;
    std::cerr << "gatehouse: " << look.what << ": " << look.text << '\n';
  }
  return has(looks, Look::Result::wrong) ? kRefused : kFailed;
}

std::string table_of(const std::vector<Look>& looks) {
  Table table({"NAMED", "IS", "SEEN"}, terminal_width());
  for (const Look& look : looks) {
    table.add({look.what, std::string(to_string(look.result)), look.text});
  }
  return table.take_page();
}

int check_config(const Arguments& arguments) {
  const std::string file = config_file(arguments.config);
  const std::vector<std::string> faults =
      config::faults_of_file(file, arguments.settings, faults_of_parts);
  if (!faults.empty()) return refuse(faults);
  const config::Config config = config::load_config(file, arguments.settings);
  SystemClock clock;
  OsEntropy entropy;
  const std::vector<Look> looks = look_at_named(config, clock, entropy);
  if (has(looks, Look::Result::wrong)) return tell_wrong(looks);
  std::vector<std::string> problems = dry_run(config, clock, entropy);
  for (std::string& problem : problems) problem = config::ConfigError(config, problem).what();
  if (!problems.empty()) return refuse(problems);
  for (const std::string& line : config::warnings_of(config)) {
    std::cout << "warning: " << line << '\n';
  }
  for (const std::string& line : validity_warnings(config, clock, entropy)) {
    std::cout << "warning: " << config::ConfigError(config, line).what() << '\n';
  }
  for (const std::string& line : check_database(config, clock)) {
    std::cout << "warning: " << line << '\n';
  }
  for (const std::string& line : report_server(config, {})) std::cout << line << '\n';
  std::cout << table_of(looks);
  if (has(looks, Look::Result::passes)) return tell_wrong(looks);
  std::cout << config.file << " is good\n";
  return kDone;
}

void add_arguments(CLI::App& command, Arguments& arguments) {
  add_config_option(command, arguments.config);
  command
      .add_option("--set", arguments.settings,
                  "PATH=VALUE: an option that wins over the file's; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
}

}  // namespace

void add_serve(CLI::App& program, Command& chosen) {
  CLI::App* command = program.add_subcommand("serve", "Run the server");
  command->footer(kServeFooter);
  auto arguments = std::make_shared<Arguments>();
  add_arguments(*command, *arguments);
  command->callback([&chosen, arguments] { chosen = [arguments] { return serve(*arguments); }; });
}

void add_check_config(CLI::App& program, Command& chosen) {
  CLI::App* command = program.add_subcommand("check-config", "Say what is wrong with a config");
  command->footer(kCheckFooter);
  auto arguments = std::make_shared<Arguments>();
  add_arguments(*command, *arguments);
  command->callback(
      [&chosen, arguments] { chosen = [arguments] { return check_config(*arguments); }; });
}

}  // namespace gatehouse::app
