#include "acme-server/app/server/server.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/app/server/config_checks.h"
#include "acme-server/app/server/decorated_parts.h"
#include "acme-server/app/server/dry_run.h"
#include "acme-server/app/server/environment.h"
#include "acme-server/app/server/preflight.h"
#include "acme-server/app/server/server_events.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/files.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/text.h"
#include "acme-server/base/transient_failure.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/http/http.h"
#include "acme-server/net/egress.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/crl_job.h"
#include "acme-server/service/certificates/known_issuers.h"
#include "acme-server/service/certificates/unpublished_crls.h"
#include "acme-server/service/context.h"
#include "acme-server/service/issuance/issuance_job.h"
#include "acme-server/service/issuance/own_certificate_job.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/service/operations/chain_ends.h"
#include "acme-server/service/operations/maintenance_job.h"
#include "acme-server/service/operations/recovery.h"
#include "acme-server/service/operations/retention_job.h"
#include "acme-server/service/policy.h"
#include "acme-server/service/stops/clock_watch.h"
#include "acme-server/service/stops/disk_watch.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/stops/operator_stop.h"
#include "acme-server/service/validation/validation_job.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/handler.h"
#include "acme-server/web/links.h"
#include "acme-server/web/listener_options.h"
#include "ca-backends/backend.h"
#include "config/compare.h"
#include "config/config.h"
#include "validators/caa.h"
#include "validators/validator.h"

namespace gatehouse::app {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kListenerKeys = "listener-keys";  // in the data directory
// The first certificate of our own takes a signature and some commits; a backend far away more.
constexpr milliseconds kOwnCertificateWait = seconds(30);
constexpr milliseconds kOwnCertificatePoll{50};
// How long the outcome of a job waits for another write to share its COMMIT: no client notices.
constexpr milliseconds kBatchDelay{10};

}  // namespace

struct Server::Impl {
  Impl(config::Config given, Environment& given_environment);

  void wait_for_own_certificate();
  std::vector<service::Expiring> expiring();
  std::vector<std::string> why_not_ready();
  void look_at_crls();
  void add_jobs();
  void wake_up();
  void identity_changed(const service::TlsIdentity& identity);

  struct Wake {
    bool pending = false;
    std::function<void()> listener;
  };

  using IdentityListener = std::function<void(const service::TlsIdentity&)>;

  config::Config config;
  Guarded<std::shared_ptr<const config::Config>> loaded;  // the last that was loaded
  Environment& environment;
  net::Egress egress;
  validators::Caa caa;
  validators::ValidatorSet validators;
  service::PolicyInForce policy;
  std::unique_ptr<sql::Database> database;
  store::Store store;
  Guarded<Wake> wake;
  service::OperatorStop operator_stop;
  service::ClockWatch clock_watch;
  service::DiskWatch disk_watch;
  service::IssuanceStops stops;
  std::shared_ptr<crypto::ChainChecker> chains;
  backends::BackendSet backends;
  web::Links links;
  Guarded<IdentityListener> identity_listener;
  Guarded<std::vector<std::string>> listeners;
  Guarded<std::vector<std::string>> warnings;
  service::Context context;
  service::PublicFiles public_files;
  service::ValidationJob validation;
  service::IssuanceJob issuance;
  service::CrlJob crls;
  service::MaintenanceJob maintenance;
  service::RetentionJob retention;
  std::optional<service::OwnCertificateJob> own_certificate;
  service::JobRunner runner;
  web::Handler web;
  std::atomic<bool> prepared = false;
  // The last: what waits is answered while everything else still stands.
  service::Completions completions;
};

Server::Impl::Impl(config::Config given, Environment& given_environment)
    : config(std::move(given)),
      loaded(std::make_shared<const config::Config>(config)),
      environment(given_environment),
      egress(environment.resolver, environment.dialer),
      caa(egress),
      validators(make_validators(config, environment, egress)),
      policy(config.policy),
      database(
          environment.decorate.database(sql::open(with_last_words(config.store, environment.log)))),
      store(*database, environment.executors.housekeeping, environment.clock, environment.job_clock,
            environment.log, environment.metrics,
            {.readers = config.store_readers,
             .batch_delay =
                 environment.executors.housekeeping.runs_at_once() ? milliseconds(0) : kBatchDelay,
             .on_full = [this] { disk_watch.write_failed(); }}),
      operator_stop(store, environment.clock, environment.log, environment.metrics),
      clock_watch(store, environment.clock, environment.uptime, environment.log,
                  environment.metrics),
      disk_watch(
          store, environment.clock, environment.log, environment.metrics,
          {.free_space_floor = config.store.free_space_floor,
           .free_space =
               [folder = std::filesystem::path(config.store.database).parent_path().string()] {
                 return service::free_space_at(folder);
               },
           .wake = [this] { wake_up(); }}),
      stops(store, environment.log, operator_stop, clock_watch, disk_watch, [this] { wake_up(); }),
      chains(std::make_shared<crypto::ChainChecker>()),
      backends(make_backends(config, environment, chains)),
      links(config.web),
      context{.store = store,
              .clock = environment.clock,
              .job_clock = environment.job_clock,
              .entropy = environment.entropy,
              .log = environment.log,
              .metrics = environment.metrics,
              .policy = policy,
              .validators = validators,
              .caa = caa,
              .backends = backends,
              .stops = stops,
              .wake = [this] { wake_up(); },
              .account_url = [this](const DirectoryId& directory,
                                    const AccountId& id) { return links.account(directory, id); },
              .chains = chains},
      public_files(context),
      validation(context),
      issuance(context),
      crls(context, public_files),
      maintenance(context,
                  [this] {
                    clock_watch.note_time();  // every ten minutes
                    return expiring();
                  }),
      retention(context, config.retention),
      runner(context),
      web(config.web, context, public_files, [this] { return why_not_ready(); },
          {.version = GATEHOUSE_VERSION,
           .database = database->description(),
           .started = environment.clock.now(),
           .operators = operator_uids(),
           .expiring = [this] { return expiring(); },
           .warnings = [this] { return warnings.with([](const auto& all) { return all; }); },
           .listeners = [this] { return listeners.with([](const auto& all) { return all; }); }}),
      completions(environment.executors.requests, environment.metrics) {
  check_profiles(config.policy, validators, config.backends);
  check_directories(config, store);
  make_private_folder(config.data_directory);
  if (wants_own_certificate(config)) {
    own_certificate.emplace(
        context,
        service::OwnCertificateOptions{
            .directory = DirectoryId(config.web.default_directory),
            .identifiers = own_identifiers(config),
            .profile = "",
            .key_directory = path_in(config.data_directory, std::string(kListenerKeys))},
        [this](const service::TlsIdentity& identity) { identity_changed(identity); });
  }
  add_jobs();
  stops.start();
}

void Server::Impl::add_jobs() {
  context.runner = &runner;
  context.completions = &completions;
  runner.add(validation, environment.executors.validation);
  // Before issuance, so that with inline lanes its order is issued in the same step.
  if (own_certificate) runner.add(*own_certificate, environment.executors.maintenance);
  runner.add(issuance, environment.executors.issuance);
  runner.add(crls, environment.executors.maintenance);
  runner.add(maintenance, environment.executors.maintenance);
  runner.add(retention, environment.executors.maintenance);
}

void Server::Impl::wake_up() {
  const auto listener = wake.with([](Wake& state) {
    state.pending = true;
    return state.listener;
  });
  wake.notify_all();
  if (listener) listener();
}

void Server::Impl::identity_changed(const service::TlsIdentity& identity) {
  const auto listener = identity_listener.with([](const IdentityListener& held) { return held; });
  if (listener) listener(identity);
}

// Runs jobs on the caller's thread until the identity is there: listeners are not open yet.
void Server::Impl::wait_for_own_certificate() {
  own_certificate->enqueue();
  const Deadline deadline = Deadline::in(kOwnCertificateWait);
  while (!own_certificate->load()) {
    if (const auto in_force = stops.all(); !in_force.empty()) {
      const std::string what =
          "the listener has no certificate of its own yet, and issuance is stopped: " +
          in_force.front().why;
      const bool passes = std::ranges::all_of(in_force, [](const service::Stop& stop) {
        return stop.reason == service::StopReason::disk;
      });
      if (passes) throw TransientFailure(what);
      throw std::runtime_error(what + " Call gatehouse resume-issuance, then start again");
    }
    if (deadline.expired()) {
      throw TransientFailure(
          "the listener's own certificate was not issued within 30 s; the log says why (events "
          "own_certificate.* and job.failed)");
    }
    if (runner.run_due_once() == 0) {
      wake.wait_for(
          kOwnCertificatePoll, [](const Wake& state) { return state.pending; },
          [](Wake& state) { state.pending = false; });
    }
  }
}

// On the maintenance lane and on control threads. A certificate file that cannot be read counts as
// ended: the server would not start with it.
std::vector<service::Expiring> Server::Impl::expiring() {
  std::vector<service::Expiring> all = service::expiring_of(context);
  const auto add = [&](const std::string& what, const std::string& name, Instant ends,
                       const std::string& next_step) {
    all.push_back(
        {.what = what, .ends = ends, .kind = "listener", .name = name, .next_step = next_step});
  };
  if (own_certificate) {
    if (const auto identity = own_certificate->load()) {
      const auto chain = crypto::parse_pem_chain(identity->chain_pem);
      const bool readable = chain && !chain->empty();
      add("the listeners' own certificate", "own", readable ? chain->front().not_after : Instant{},
          "it is renewed by itself; the log says why not (own_certificate.*, job.failed)");
      // It is renewed at the last third of its validity.
      if (readable) {
        all.back().warn_before = (chain->front().not_after - chain->front().not_before) / 4;
      }
    }
  }
  config::for_each_listener(config, [&](const config::ListenerConfig& listener, auto) {
    if (listener.certificate != config::CertificateSource::files) return;
    const std::string& name = listener.listener.name;
    const std::string what = "certificate of listener " + name;
    try {
      add(what, name, listener_certificate(listener.certificate_file).not_after,
          "replace " + listener.certificate_file + ", then reload");
    } catch (const std::runtime_error& error) {
      add(what, name, Instant{}, error.what());
    }
  });
  return all;
}

// Certificates whose revocation would reach nobody: a refusal, or a warning for operators.
void Server::Impl::look_at_crls() {
  const auto in_use =
      store.read([](store::Tx& tx) { return tx.certificates().crls_in_use(tx.now()); });
  auto found = check_crls(config, in_use, service::published_crls(backends));
  for (const std::string& warning : found) {
    environment.log.warning("crl.not_published", {{"why", warning}});
  }
  warnings.with([&](auto& all) { all = std::move(found); });
}

// What keeps a client from being served well. On request threads.
std::vector<std::string> Server::Impl::why_not_ready() {
  std::vector<std::string> reasons;
  if (!prepared) reasons.emplace_back("the server is starting");
  const Instant now = environment.clock.now();
  try {
    store.read([&](store::Tx& tx) {
      for (const service::BackendStop& stop : service::backend_stops(tx, backends)) {
        reasons.push_back("backend " + stop.backend + " is stopped");
      }
      for (backends::Backend* backend : backends.all()) {
        const backends::IssuersSnapshot issuers = backend->certificates->issuers();
        for (const backends::CrlShard& shard : issuers->shards) {
          const auto crl = tx.crls().in_force(shard.issuer, shard.url);
          if (!crl || crl->next_update <= now) {
            reasons.push_back("the CRL " + shard.url +
                              (crl ? " is out of date" : " is not made yet"));
          }
        }
      }
    });
  } catch (const std::exception& error) {
    // A public page: what the database says is for the log.
    environment.log.error("readiness.database", {{"error", error.what()}});
    reasons.emplace_back("the database cannot be read");
  }
  for (std::string& ended :
       service::print_halted(service::chain_ends(backends, *policy.get(), now))) {
    reasons.push_back(std::move(ended));
  }
  for (backends::Backend* backend : backends.all()) {
    if (backend->certificates->issuers()->in_use() == nullptr) {
      reasons.push_back("backend " + backend->name + " has not reached its CA yet");
    }
    if (const auto why = backend->certificates->why_not_ready()) {
      environment.log.warning("readiness.backend", {{"backend", backend->name}, {"why", *why}});
      reasons.push_back("backend " + backend->name + " cannot issue now");
    }
  }
  return reasons;
}

Server::Server(config::Config config, Environment& environment)
    : impl_(std::make_unique<Impl>(std::move(config), environment)) {}

Server::~Server() = default;

http::Handler Server::handler() {
  // The request is parsed by then; everything about it, the database too, is another thread's work.
  http::Handler handler = [this](http::Request request, http::Respond respond) {
    const auto shared = std::make_shared<const http::Request>(std::move(request));
    Executors& executors = impl_->environment.executors;
    const web::ListenerRow* const listener = web::find_listener(shared->listener);
    const bool of_operators = listener != nullptr && listener->callers == web::Callers::operators;
    Executor& executor = of_operators ? executors.control : executors.requests;
    const bool posted = executor.try_post([this, shared, respond] {
      impl_->web.handle(shared, [respond](http::Response response) {
        crash_point("answer.made");
        respond(std::move(response));
      });
    });
    if (!posted) respond(impl_->web.busy(*shared));
  };
  return impl_->environment.decorate.handler(std::move(handler));
}

void Server::prepare() {
  crash_point("start.clock_checked");
  impl_->look_at_crls();
  service::remember_issuers(impl_->context);
  impl_->crls.make_missing();
  impl_->crls.enqueue_all();
  impl_->maintenance.enqueue();
  impl_->retention.enqueue();
  crash_point("start.jobs_enqueued");
  if (impl_->own_certificate) impl_->wait_for_own_certificate();
  impl_->prepared = true;
}

std::optional<service::TlsIdentity> Server::own_identity() {
  return impl_->own_certificate ? impl_->own_certificate->load() : std::nullopt;
}

void Server::on_own_identity(std::function<void(const service::TlsIdentity&)> changed) {
  impl_->identity_listener.with([&](auto& held) { held = std::move(changed); });
}

std::size_t Server::run_due_jobs() {
  impl_->stops.look();
  return impl_->runner.run_due_once();
}

std::chrono::milliseconds Server::until_next_job() {
  return impl_->runner.until_next();
}

void Server::on_wake(std::function<void()> wake) {
  impl_->wake.with([&](Impl::Wake& state) { state.listener = std::move(wake); });
}

std::size_t Server::tick_waiting_answers() {
  return impl_->completions.tick();
}

void Server::on_waiting_answers(std::function<void()> waiting) {
  impl_->completions.on_waiting(std::move(waiting));
}

void Server::stop_waiting() {
  impl_->completions.close();
}

void Server::reload(const config::Config& config, const Principal& by) {
  check_directories(config, impl_->store);
  if (const auto changed = config::first_fixed_difference(impl_->config, config)) {
    throw std::runtime_error(*changed +
                             " has changed, which needs a restart; nothing was reloaded");
  }
  for (const auto& [name, directory] : impl_->policy.get()->directories) {
    // Even one without accounts: a request that is making its first may be on its way.
    if (config.policy.find(name) == nullptr) {
      throw std::runtime_error(
          "directories." + name.str() +
          ": is missing, and a directory is taken out by a restart alone; nothing "
          "was reloaded");
    }
  }
  check_profiles(config.policy, impl_->validators, config.backends);
  require_usable_certificates(config, impl_->backends, impl_->environment.clock.now());
  const std::vector<std::string> changes =
      impl_->loaded.with([&](const auto& held) { return config::changes_between(*held, config); });
  impl_->store.write(
      [&](store::Tx& tx) { tx.audit().append(reloaded_event(config, changes, by)); });
  impl_->loaded.with([&](auto& held) { held = std::make_shared<const config::Config>(config); });
  impl_->environment.log.info("server.reloaded", {{"by", to_string(by)},
                                                  {"changed", join(changes, ", ")},
                                                  {"config_sha256", hash_of(config)}});
  impl_->policy.replace(config.policy);
  impl_->web.replace_hosts(config.web);
}

void Server::audit_started() {
  impl_->store.write([&](store::Tx& tx) { tx.audit().append(started_event(impl_->config)); });
}

void Server::audit_stopped(const Principal& by, bool drained) {
  impl_->store.write([&](store::Tx& tx) { tx.audit().append(stopped_event(by, drained)); });
}

void Server::show_listeners(std::vector<std::string> listeners) {
  impl_->listeners.with([&](auto& shown) { shown = std::move(listeners); });
}

std::vector<std::uint32_t> operator_uids() {
  return {0, ::geteuid()};
}

service::Recovered Server::recover(const service::RecoverySources& sources) {
  return impl_->store.write(
      [&](store::Tx& tx) { return service::recover(tx, impl_->backends, sources); });
}

service::IssuanceStops& Server::stops() {
  return impl_->stops;
}

store::Store& Server::store() {
  return impl_->store;
}

}  // namespace gatehouse::app
