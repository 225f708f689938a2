// TestServices: the use cases and jobs over a real database, with a scripted CA and scripted
// validators. What is in it besides the database dies with restart(), as a process does. Jobs begin
// with their COMMIT, as in production, on a lane that run_jobs() plays.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/executor.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/service/accounts/accounts.h"
#include "acme-server/service/context.h"
#include "acme-server/service/issuance/issuance_job.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/service/orders/challenges.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/service/stops/clock_watch.h"
#include "acme-server/service/stops/disk_watch.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/stops/operator_stop.h"
#include "acme-server/service/validation/validation_job.h"
#include "acme-server/store/sql/open.h"
#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/manual_uptime.h"
#include "tests/support/scripted_backend.h"
#include "tests/support/scripted_validator.h"
#include "tests/support/seeded_entropy.h"
#include "tests/support/stepped_executor.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {

// A private key as clients have one, its public half in the three forms we compare.
struct TestKey {
  TestKey()
      : signer(crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret())) {
    spki = signer->public_key();
    jwk = crypto::jwk_of_spki(spki).value();
    sha256 = crypto::spki_sha256_of(spki);
  }

  // A CSR for `names`, in its subjectAltName.
  Bytes csr(const std::vector<std::string>& names) const {
    return crypto::make_csr(*signer, names, {});
  }

  std::unique_ptr<crypto::Signer> signer;
  Bytes spki;
  crypto::Jwk jwk;
  std::string sha256;
};

// Everything that a process has, and a restart makes anew.
struct ServiceProcess {
  ServiceProcess(service::Context given, Executor& lane)
      : context(std::move(given)),
        accounts(context),
        orders(context),
        authorizations(context),
        challenges(context),
        validation(context),
        issuance(context),
        runner(context) {
    runner.add(validation, lane);
    runner.add(issuance, lane);
    context.runner = &runner;
  }

  service::Context context;
  service::Accounts accounts;
  service::Orders orders;
  service::Authorizations authorizations;
  service::Challenges challenges;
  service::ValidationJob validation;
  service::IssuanceJob issuance;
  service::JobRunner runner;
};

class TestServices final {
 public:
  struct Options {
    bool repeatable = true;
    std::uint64_t seed = 1;
    service::Directory directory = default_directory();  // of both directories
    TestStore::Wrap wrap = [](std::unique_ptr<sql::Database> database) { return database; };
    Log::Sink log = {};
    // The CA in place of the scripted one, under its name; then `ca` is null.
    std::function<backends::Backend(Entropy& entropy, Clock& clock, Log& log)> backend = {};
  };

  // Both challenge types enabled, so that wildcards can be ordered.
  static service::Directory default_directory() {
    service::Directory directory;
    directory.profiles.at("default").challenge_types = {"http-01", "dns-01"};
    directory.caa_identities = {"ca.test"};
    directory.website = "https://acme.test/about";
    return directory;
  }

  TestServices() : TestServices(Options{}) {}

  explicit TestServices(Options options)
      : entropy(options.seed),
        store(options.wrap),
        log_(options.log ? Log({.sink = options.log}) : Log()),
        policy(policy_of(options.directory)) {
    auto http = std::make_unique<ScriptedValidator>("http-01");
    auto dns = std::make_unique<ScriptedValidator>("dns-01");
    http01 = http.get();
    dns01 = dns.get();
    validators_.add(std::move(http));
    validators_.add(std::move(dns));
    if (options.backend) {
      backends_.add(options.backend(entropy, store.clock, log_));
    } else {
      auto made = std::make_unique<ScriptedBackend>(
          entropy, ScriptedBackend::Options{.repeatable = options.repeatable});
      ca = made.get();
      backends_.add({.name = "local", .certificates = std::move(made), .crls = ca});
    }
    start();
  }

  service::Accounts& accounts() { return process_->accounts; }

  service::Orders& orders() { return process_->orders; }

  service::Authorizations& authorizations() { return process_->authorizations; }

  service::Challenges& challenges() { return process_->challenges; }

  service::JobRunner& runner() { return process_->runner; }

  service::Context& context() { return process_->context; }

  service::IssuanceStops& stops() { return stopping_->all; }

  service::OperatorStop& operator_stop() { return stopping_->by_operator; }

  service::ClockWatch& clock_watch() { return stopping_->clock; }

  service::DiskWatch& disk_watch() { return stopping_->disk; }

  // As after a crash: a new store and new services over what is durable. `meanwhile` has the
  // database to itself.
  void restart(const std::function<void(sql::Database&)>& meanwhile = [](sql::Database&) {}) {
    lane.clear();
    process_.reset();
    stopping_.reset();
    store.reopen(meanwhile);
    start();
  }

  // Reloads the rules of the directory of that name.
  void use(service::Directory directory) {
    service::Policy next = *policy.get();
    const DirectoryId name = directory.name;
    next.directories.insert_or_assign(name, std::move(directory));
    policy.replace(std::move(next));
  }

  void advance(std::chrono::seconds span) {
    store.clock.advance(span);
    store.job_clock.advance(span);
  }

  // Runs the jobs that have begun, then those that are due, until there are none; looks at most
  // `rounds` times for what is due.
  void run_jobs(int rounds = 50) {
    lane.run();
    while (rounds-- > 0 && run_due_once() > 0) {
    }
  }

  // Claims what is due and runs it. How many jobs were claimed.
  std::size_t run_due_once() {
    const std::size_t claimed = runner().run_due_once();
    lane.run();
    return claimed;
  }

  Account new_account(const TestKey& key = TestKey(), const std::string& directory = "default") {
    return accounts()
        .find_or_create(DirectoryId(directory), key.jwk, {.terms_agreed = true})
        .account;
  }

  service::OrderView new_order(const Account& account, const std::vector<std::string>& names) {
    service::Orders::NewOrder request;
    for (const std::string& name : names) {
      request.identifiers.push_back({.type = "dns", .value = name});
    }
    return orders().create(account, request);
  }

  // Says that the first challenge of each pending authorization is ready.
  void respond(const Account& account, const service::OrderView& view) {
    for (const AuthorizationId& id : view.order.authorizations) {
      const Authorization authorization = authorizations().get(account, id).value();
      if (authorization.status == AuthorizationStatus::pending) {
        challenges().respond(account, authorization.challenges.front().id);
      }
    }
  }

  service::OrderView ready_order(const Account& account, const std::vector<std::string>& names) {
    const service::OrderView view = new_order(account, names);
    respond(account, view);
    run_jobs();
    return orders().get(account, view.order.id).value();
  }

  // A finalized order whose job has begun with its COMMIT and waits on the lane; its intent is
  // marked submitted unless finalize had a reason not to.
  service::OrderView processing_order(const Account& account,
                                      const std::vector<std::string>& names) {
    const service::OrderView view = ready_order(account, names);
    return orders().finalize(account, view.order.id, TestKey().csr(names)).value();
  }

  // A finalized order that found no room on the lane: its intent is prepared, its job due.
  service::OrderView prepared_order(const Account& account, const std::vector<std::string>& names) {
    const service::OrderView view = ready_order(account, names);
    lane.set_places(0);
    const service::OrderView finalized =
        orders().finalize(account, view.order.id, TestKey().csr(names)).value();
    lane.set_places(SteppedExecutor::kPlaces);
    return finalized;
  }

  service::OrderView show(const Account& account, const service::OrderView& view) {
    return orders().get(account, view.order.id).value();
  }

  std::vector<store::Issuance> issuances(const OrderId& order) {
    return store->read([&](store::Tx& tx) { return tx.issuances().all_of(order); });
  }

  std::vector<std::string> audit_kinds(const OrderId& order) {
    std::vector<std::string> kinds;
    for (const store::AuditRow& row :
         store->read([&](store::Tx& tx) { return tx.audit().of_order(order); })) {
      kinds.push_back(row.event.kind);
    }
    return kinds;
  }

  bool has_job(const OrderId& order) {
    return store->read([&](store::Tx& tx) {
      return tx.jobs().exists(store::JobKind::issue_certificate, order.str());
    });
  }

  std::vector<store::ParkedJob> parked() {
    return store->read([](store::Tx& tx) { return tx.jobs().parked(); });
  }

  static constexpr std::uint64_t kFloor = std::uint64_t{64} * 1024 * 1024;

  SeededEntropy entropy;
  TestStore store;
  ManualUptime uptime{store.clock};
  SteppedExecutor lane;                     // of every job
  std::uint64_t free_space = 100 * kFloor;  // on the disk, as DiskWatch measures it

 private:
  Log log_;

 public:
  service::PolicyInForce policy;
  ScriptedValidator* http01 = nullptr;
  ScriptedValidator* dns01 = nullptr;
  ScriptedBackend* ca = nullptr;
  FakeResolver resolver;  // of CAA records: none, unless a test adds some

 private:
  // "default", and "staging" by the same rules.
  static service::Policy policy_of(const service::Directory& directory) {
    service::Policy policy;
    for (const char* name : {"default", "staging"}) {
      service::Directory named = directory;
      named.name = DirectoryId(name);
      policy.directories.insert_or_assign(named.name, std::move(named));
    }
    return policy;
  }

  // What may stop issuance, as app::Server puts it together.
  struct Stopping {
    explicit Stopping(TestServices& of)
        : by_operator(*of.store, of.store.clock, of.log_, of.store.metrics),
          clock(*of.store, of.store.clock, of.uptime, of.log_, of.store.metrics),
          disk(*of.store, of.store.clock, of.log_, of.store.metrics,
               {.free_space_floor = kFloor, .free_space = [&of] { return of.free_space; }}),
          all(*of.store, of.log_, by_operator, clock, disk, {}) {}

    service::OperatorStop by_operator;
    service::ClockWatch clock;
    service::DiskWatch disk;
    service::IssuanceStops all;
  };

  void start() {
    stopping_ = std::make_unique<Stopping>(*this);
    stopping_->all.start();
    process_ = std::make_unique<ServiceProcess>(make_context(), lane);
  }

  service::Context make_context() {
    return service::Context{.store = *store,
                            .clock = store.clock,
                            .job_clock = store.job_clock,
                            .entropy = entropy,
                            .log = log_,
                            .metrics = store.metrics,
                            .policy = policy,
                            .validators = validators_,
                            .caa = caa_,
                            .backends = backends_,
                            .stops = stopping_->all,
                            .wake = [] {},
                            .account_url =
                                [](const DirectoryId& directory, const AccountId& account) {
                                  return "https://acme.test/acme/" + directory.str() + "/account/" +
                                         account.str();
                                }};
  }

  FakeDialer dialer_;
  net::Egress egress_{resolver, dialer_};
  validators::Caa caa_{egress_};
  validators::ValidatorSet validators_;
  backends::BackendSet backends_;
  std::unique_ptr<Stopping> stopping_;
  std::unique_ptr<ServiceProcess> process_;
};

// The problem that `call` rejects with; a test failure of its own kind when it does not.
template <class Call>
Problem rejection_of(Call&& call) {
  try {
    call();
  } catch (const RequestRejected& rejected) {
    return rejected.problem();
  }
  return {.type = ProblemType::unspecified, .detail = "nothing was rejected"};
}

}  // namespace gatehouse::testing
