#include "acme-server/app/server/host.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/app/server/descriptor_budget.h"
#include "acme-server/app/server/dry_run.h"
#include "acme-server/app/server/environment.h"
#include "acme-server/app/server/preflight.h"
#include "acme-server/app/server/server.h"
#include "acme-server/app/server/start_report.h"
#include "acme-server/app/signer/signer_process.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/files.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/transient_failure.h"
#include "acme-server/base/uptime.h"
#include "acme-server/core/principal.h"
#include "acme-server/http/engine.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/dnssec_options.h"
#include "acme-server/net/socket_dialer.h"
#include "acme-server/service/issuance/own_certificate_job.h"
#include "acme-server/web/listener_options.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestSleep{1000};
constexpr milliseconds kTick{10};  // how exactly the wait of an answer is kept
// Of the questions whether resolvers validate DNSSEC, all in all.
constexpr milliseconds kDnssecWait{5000};
// What a lane takes beyond what runs: the runner claims no more jobs than there are idle threads,
// so only Servers that race for the last thread queue at all.
constexpr std::size_t kLaneQueue = 256;
// Groups of one store: one runs, one waits (Store::Options::queue_limit bounds what is in them).
constexpr std::size_t kHousekeeperQueue = 64;
constexpr std::size_t kControlThreads = 2;  // one long command does not keep the next from running

struct Route {
  http::Handler handler;
  web::ListenerKind kind;
};

// A Server with what is its alone.
struct Instance {
  config::Config config;
  std::size_t number = 0;
  Metrics metrics;
  std::unique_ptr<net::CaresResolver> resolver;
  std::unique_ptr<WorkerPool> housekeeper;
  std::unique_ptr<Environment> environment;
  std::vector<std::unique_ptr<SignerProcess>> signers;
  std::unique_ptr<Server> server;

  std::string listener_name(const std::string& name) const {
    return std::to_string(number) + "/" + name;
  }
};

// Own certificates as they come: before the engine serves they are kept, then handed to it.
struct Identities {
  bool serving = false;
  std::map<std::size_t, service::TlsIdentity> latest;
};

http::Listener control_listener(const Instance& instance) {
  return {.name = std::string(web::kControlListener),
          .address = http::UnixAddress{.path = instance.config.control_socket, .mode = 0600},
          .tls = {},
          .origins = {}};
}

http::TlsOptions tls_of(const service::TlsIdentity& identity) {
  http::TlsOptions tls;
  tls.certificate_chain_pem = identity.chain_pem;
  tls.private_key_pem = identity.key_pem;
  return tls;
}

}  // namespace

struct Host::Impl {
  Impl(std::vector<config::Config> configs, Log& given_log, const Options& options);

  void add_server(config::Config config, std::size_t number, const Options& options);
  std::vector<http::Listener> listeners();
  void check_dnssec(Instance& instance);
  http::Listener open_to_its_callers(const Instance& instance, http::Listener listener,
                                     web::ListenerKind kind);
  void dispatch(http::Request request, http::Respond respond) const;
  void renew_own(std::size_t number, const service::TlsIdentity& identity);
  void hand_over(std::size_t number, const service::TlsIdentity& identity);
  void schedule(const std::stop_token& stop);
  void wake();
  void tick(const std::stop_token& stop);
  bool reload(Instance& instance, const Principal& by);
  void reload_config(Instance& instance, const Principal& by);
  void audit_stop(Instance& instance, const Principal& by, bool drained);
  bool stop(const Principal& by);

  Log& log;
  const std::size_t descriptors;  // that the process may open
  SystemClock clock;
  MachineUptime uptime;
  OsEntropy entropy;
  net::SocketDialer dialer;
  config::ThreadsConfig threads;
  WorkerPool requests, validation, issuance, maintenance, control;
  std::vector<std::unique_ptr<Instance>> instances;
  std::unique_ptr<http::Engine> engine;
  std::map<std::string, Route> routes;  // by listener; immutable once the engine has started
  std::vector<http::ListenerAddress> bound;
  Guarded<Identities> identities;
  Guarded<bool> woken;
  std::jthread scheduler;
  Guarded<bool> answers_wait;
  std::jthread ticker;
  std::atomic<std::chrono::steady_clock::time_point> last_round = std::chrono::steady_clock::now();
  bool started = false;         // start() has come to its end
  std::optional<bool> stopped;  // what the first stop() returned
};

Host::Impl::Impl(std::vector<config::Config> configs, Log& given_log, const Options& options)
    : log(given_log),
      descriptors(http::raise_descriptor_limit()),
      threads(configs.at(0).threads),
      requests(
          {.name = "requests", .threads = threads.requests, .queue_limit = threads.request_queue}),
      validation({.name = "validation", .threads = threads.validation, .queue_limit = kLaneQueue}),
      issuance({.name = "issuance", .threads = threads.issuance, .queue_limit = kLaneQueue}),
      maintenance({.name = "maintenance", .threads = 1, .queue_limit = kLaneQueue}),
      control({.name = "control", .threads = kControlThreads, .queue_limit = kLaneQueue}) {
  const http::Limits limits = fit_connections(configs, descriptors, log);
  for (std::size_t i = 0; i < configs.size(); ++i) add_server(std::move(configs[i]), i, options);
  engine =
      std::make_unique<http::Engine>(http::EngineOptions{.limits = limits, .threads = threads.http},
                                     clock, log, instances.front()->metrics);
}

void Host::Impl::add_server(config::Config config, std::size_t number, const Options& options) {
  instances.push_back(std::make_unique<Instance>());
  Instance& instance = *instances.back();
  instance.config = std::move(config);
  instance.number = number;
  instance.resolver = std::make_unique<net::CaresResolver>(instance.config.resolver, entropy);
  instance.housekeeper = std::make_unique<WorkerPool>(
      WorkerPool::Options{.name = "housekeeper", .threads = 1, .queue_limit = kHousekeeperQueue});
  const Environment base{.clock = clock,
                         .job_clock = clock,
                         .uptime = uptime,
                         .entropy = entropy,
                         .resolver = *instance.resolver,
                         .dialer = dialer,
                         .log = log,
                         .metrics = instance.metrics,
                         .executors = {.requests = requests,
                                       .validation = validation,
                                       .issuance = issuance,
                                       .maintenance = maintenance,
                                       .control = control,
                                       .housekeeping = *instance.housekeeper}};
  instance.environment =
      std::make_unique<Environment>(options.adjust ? options.adjust(number, base) : base);
  // By the Server's own clock, and before it opens anything.
  require_none(instance.config, dry_run(instance.config, instance.environment->clock,
                                        instance.environment->entropy));
  for (const std::string& backend : spawned_signers(instance.config)) {
    make_private_folder(instance.config.data_directory);
    instance.signers.push_back(std::make_unique<SignerProcess>(instance.config, backend, log));
  }
  instance.server = std::make_unique<Server>(instance.config, *instance.environment);
  instance.server->on_own_identity(
      [this, number](const service::TlsIdentity& identity) { renew_own(number, identity); });
  instance.server->on_wake([this] { wake(); });
  instance.server->on_waiting_answers([this] {
    answers_wait.with([](bool& flag) { flag = true; });
    answers_wait.notify_one();
  });
}

// RFC 8657 section 5.6: who honours its parameters in CAA records "MUST perform CAA validation
// using a trusted DNSSEC-validating resolver". Required, it is asked for before anything is served;
// else on a lane, so that a resolver that is away does not hold the start. A resolver of the
// environment's own is not asked.
void Host::Impl::check_dnssec(Instance& instance) {
  const net::DnssecOptions& dnssec = instance.config.dnssec;
  net::CaresResolver& resolver = *instance.resolver;
  if (dnssec.mode == net::DnssecMode::off || &instance.environment->resolver != &resolver) return;
  const auto why = [&resolver, probe = dnssec.probe] {
    return resolver.why_not_validating(probe, Deadline::in(kDnssecWait));
  };
  if (dnssec.mode == net::DnssecMode::required) {
    if (const auto found = why()) {
      const config::ConfigError wrong(
          instance.config,
          "resolver.dnssec: is required, and " + found->why +
              "; let it validate, name others in resolver.servers, or set resolver.dnssec to warn");
      if (found->answered) throw wrong;
      throw TransientFailure(wrong.what());
    }
    return;
  }
  maintenance.try_post([this, why] {
    if (const auto found = why()) {
      log.warning("dnssec.not_validating",
                  {{"why", found->why},
                   {"next",
                    "let it validate, or name others in resolver.servers: CAA records could "
                    "be forged"}});
    }
  });
}

// The listener under its name in the engine, with its route, for those that its kind is for: where
// that is operators, anybody else is closed at accept.
http::Listener Host::Impl::open_to_its_callers(const Instance& instance, http::Listener listener,
                                               web::ListenerKind kind) {
  listener.name = instance.listener_name(listener.name);
  if (web::listener_row(kind).callers == web::Callers::operators) listener.uids = operator_uids();
  routes[listener.name] = {.handler = instance.server->handler(), .kind = kind};
  return listener;
}

std::vector<http::Listener> Host::Impl::listeners() {
  std::vector<http::Listener> all;
  for (const auto& instance : instances) {
    config::for_each_listener(
        instance->config, [&](const config::ListenerConfig& each, web::ListenerKind kind) {
          http::Listener listener = each.listener;
          listener.proxies = instance->config.web.trusted_proxies;
          switch (each.certificate) {
            case config::CertificateSource::none:
              break;
            case config::CertificateSource::own:
              listener.tls = tls_of(instance->server->own_identity().value());
              break;
            case config::CertificateSource::files:
              listener.tls = read_tls_files(each, clock.now());
              break;
          }
          all.push_back(open_to_its_callers(*instance, std::move(listener), kind));
        });
    all.push_back(
        open_to_its_callers(*instance, control_listener(*instance), web::ListenerKind::control));
  }
  return all;
}

void Host::Impl::dispatch(http::Request request, http::Respond respond) const {
  const Route& route = routes.at(request.listener);
  request.listener = web::listener_row(route.kind).name;
  route.handler(std::move(request), std::move(respond));
}

// On a maintenance thread. Under the lock, so that the newest identity is the last one handed over.
void Host::Impl::renew_own(std::size_t number, const service::TlsIdentity& identity) {
  identities.with([&](Identities& held) {
    held.latest.insert_or_assign(number, identity);
    if (held.serving) hand_over(number, identity);
  });
}

void Host::Impl::hand_over(std::size_t number, const service::TlsIdentity& identity) {
  const Instance& instance = *instances.at(number);
  config::for_each_listener(instance.config, [&](const config::ListenerConfig& each, auto) {
    if (each.certificate != config::CertificateSource::own) return;
    engine->reload_tls(instance.listener_name(each.listener.name), tls_of(identity));
  });
  log.info("listener.certificate", {{"base_url", instance.config.web.base_url}});
}

void Host::Impl::wake() {
  woken.with([](bool& flag) { flag = true; });
  woken.notify_one();
}

void Host::Impl::schedule(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    milliseconds sleep = kLongestSleep;
    for (const auto& instance : instances) {
      instance->server->run_due_jobs();
      sleep = std::min(sleep, instance->server->until_next_job());
    }
    last_round = std::chrono::steady_clock::now();
    woken.wait_for(sleep, [](const bool& flag) { return flag; }, [](bool& flag) { flag = false; });
  }
}

// Watches over all Servers' waiting answers; sleeps while there are none.
void Host::Impl::tick(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::size_t waiting = 0;
    for (const auto& instance : instances) waiting += instance->server->tick_waiting_answers();
    if (waiting > 0) {
      std::this_thread::sleep_for(kTick);
      continue;
    }
    answers_wait.wait([](const bool& flag) { return flag; }, [](bool& flag) { flag = false; });
  }
}

// Each part stands for itself: a bad certificate file does not keep a good policy out.
bool Host::Impl::reload(Instance& instance, const Principal& by) {
  bool good = true;
  const auto attempt = [&](const std::string& what, const auto& step) {
    try {
      step();
      log.info("reload.done", {{"what", what}});
    } catch (const std::exception& error) {
      good = false;
      log.error("reload.refused", {{"what", what}, {"why", error.what()}});
    }
  };
  config::for_each_listener(instance.config, [&](const config::ListenerConfig& each, auto) {
    if (each.certificate != config::CertificateSource::files) return;
    attempt(each.certificate_file, [&] {
      engine->reload_tls(instance.listener_name(each.listener.name),
                         read_tls_files(each, clock.now()));
    });
  });
  attempt(instance.config.file, [&] { reload_config(instance, by); });
  return good;
}

void Host::Impl::reload_config(Instance& instance, const Principal& by) {
  const auto fresh = config::load_config(instance.config.file, instance.config.settings);
  std::optional<http::Limits> limits;
  if (instance.number == 0) {  // the first config's are those of all
    std::vector<config::Config> configs = {fresh};
    for (std::size_t i = 1; i < instances.size(); ++i) configs.push_back(instances[i]->config);
    limits = fit_connections(configs, descriptors, log);
  }
  instance.server->reload(fresh, by);
  if (limits) {
    engine->set_limits(*limits);
    log.set_level(fresh.log.level);
  }
  config::for_each_listener(instance.config, [&](const config::ListenerConfig& each, auto) {
    engine->set_proxies(instance.listener_name(each.listener.name), fresh.web.trusted_proxies);
  });
}

// Only after a start: one that came to nothing is no stop.
void Host::Impl::audit_stop(Instance& instance, const Principal& by, bool drained) {
  if (!started) return;
  try {
    instance.server->audit_stopped(by, drained);
  } catch (const std::exception& error) {
    log.error("server.stop_not_audited", {{"error", error.what()}});
  }
}

bool Host::Impl::stop(const Principal& by) {
  if (stopped) return *stopped;
  crash_point("stop.begun");
  // Before the engine waits for the requests in flight: what waits is answered as it is ready.
  for (const auto& instance : instances) instance->server->stop_waiting();
  if (ticker.joinable()) {
    ticker.request_stop();
    answers_wait.with([](bool& flag) { flag = true; });
    answers_wait.notify_one();
    ticker.join();
  }
  const bool drained = engine->drain_and_stop();
  crash_point("stop.drained");
  if (scheduler.joinable()) {
    scheduler.request_stop();
    wake();
    scheduler.join();
  }
  requests.drain();
  validation.drain();
  issuance.drain();
  maintenance.drain();
  control.drain();
  crash_point("stop.lanes_dry");
  for (const auto& instance : instances) {
    audit_stop(*instance, by, drained);
    instance->server.reset();
    instance->housekeeper->drain();
  }
  crash_point("stop.closed");
  stopped = drained;
  return drained;
}

Host::Host(std::vector<config::Config> configs, Log& log, Options options) {
  ACME_CHECK(!configs.empty());
  const SystemClock clock;
  for (const config::Config& config : configs) preflight(config, clock);
  impl_ = std::make_unique<Impl>(std::move(configs), log, options);
}

Host::~Host() {
  stop();
}

std::vector<std::string> Host::start() {
  std::vector<std::string> lines = report_process(impl_->descriptors);
  for (const auto& instance : impl_->instances) {
    impl_->check_dnssec(*instance);
    instance->server->prepare();
  }
  impl_->bound = impl_->engine->start(
      impl_->listeners(), [impl = impl_.get()](http::Request request, http::Respond respond) {
        impl->dispatch(std::move(request), std::move(respond));
      });
  // One that came while the listeners opened is handed over now, later ones as they come.
  impl_->identities.with([&](Identities& held) {
    held.serving = true;
    for (const auto& [number, identity] : held.latest) impl_->hand_over(number, identity);
  });
  crash_point("start.listening");
  for (const auto& instance : impl_->instances) instance->server->audit_started();
  impl_->ticker =
      std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->tick(stop); });
  impl_->scheduler =
      std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->schedule(stop); });
  impl_->started = true;
  for (const auto& instance : impl_->instances) {
    instance->server->show_listeners(print_listeners(addresses(instance->number)));
    const auto report = report_server(instance->config, addresses(instance->number));
    lines.insert(lines.end(), report.begin(), report.end());
  }
  return lines;
}

std::vector<http::ListenerAddress> Host::addresses(std::size_t index) const {
  std::vector<http::ListenerAddress> own;
  const std::string prefix = std::to_string(index) + "/";
  for (const http::ListenerAddress& bound : impl_->bound) {
    if (!bound.listener.starts_with(prefix)) continue;
    own.push_back(bound);
    own.back().listener.erase(0, prefix.size());
  }
  return own;
}

milliseconds Host::silence() const {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() -
                                                  impl_->last_round.load());
}

bool Host::reload(const Principal& by) {
  bool good = true;
  for (const auto& instance : impl_->instances) good = impl_->reload(*instance, by) && good;
  return good;
}

bool Host::stop(const Principal& by) {
  return impl_->stop(by);
}

}  // namespace gatehouse::app
