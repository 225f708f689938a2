#include "acme-server/service/issuance/may_sign.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "acme-server/service/issuance/issuance_job.h"
#include "acme-server/service/validation/caa_checks.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using service::SigningRule;
using service::SigningVerdict;
using std::chrono::minutes;
using std::chrono::seconds;
using store::IssuanceState;
using testing::TestKey;
using testing::TestServices;

// What a verdict says first.
enum class Says { yes, stopped, refused, caa_due, stale };

Says says(const SigningVerdict& verdict) {
  if (verdict.stopped) return Says::stopped;
  if (verdict.refusal) return Says::refused;
  if (!verdict.caa_due.empty()) return Says::caa_due;
  if (verdict.stale) return Says::stale;
  CHECK(verdict.permitted());
  return Says::yes;
}

// An order of one name, and what a row breaks about it, each alone: what a service would change
// besides is left out.
struct Fixture {
  TestServices services;
  const Account account = services.new_account();
  TestKey key;
  service::OrderView order = services.ready_order(account, {"a.test"});

  Authorization authorization() {
    return services.store
        ->read([&](store::Tx& tx) { return tx.authorizations().of_order(order.order.id); })
        .front();
  }

  void change_authorization(const std::function<void(Authorization&)>& change) {
    const Authorization before = authorization();
    Authorization after = before;
    change(after);
    services.store->write(
        [&](store::Tx& tx) { REQUIRE(tx.authorizations().update(before, after)); });
  }

  void change_policy(const std::function<void(service::Directory&)>& change) {
    service::Directory directory = TestServices::default_directory();
    change(directory);
    services.use(directory);
  }

  void write(const std::function<void(store::Tx&)>& change) { services.store->write(change); }

  void finalize() { services.orders().finalize(account, order.order.id, key.csr({"a.test"})); }

  std::optional<store::Issuance> intent() {
    return services.store->read(
        [&](store::Tx& tx) { return tx.issuances().current(order.order.id); });
  }

  // The verdict on the order as it is stored, with `intent` in place of its own.
  SigningVerdict verdict(const store::Issuance& intent) {
    return services.store->read([&](store::Tx& tx) {
      const Order stored = tx.orders().get(order.order.id).value();
      return service::may_sign(tx, services.context(), *services.policy.get(), stored, &intent,
                               services.store.clock.now());
    });
  }
};

struct Row {
  std::string name;
  std::function<void(Fixture&)> break_it;
  Says verdict;
  std::optional<SigningRule> rule;  // of a refusal
  // What finalize rejects when it happens while it prepares; none: it stores the intent, unmarked.
  std::optional<ProblemType> finalize;
  // What the order fails with when it happens before the job marks the intent; none: it is signed
  // once what stands in its way is gone.
  std::optional<ProblemType> job;
};

const Row kRows[] = {
    {"the account is deactivated",
     [](Fixture& f) {
       f.write([&](store::Tx& tx) {
         REQUIRE(tx.accounts().deactivate(f.account.directory, f.account.id));
       });
     },
     Says::refused, SigningRule::account, ProblemType::unauthorized, ProblemType::unauthorized},
    {"an authorization is deactivated",
     [](Fixture& f) {
       f.change_authorization(
           [](Authorization& held) { held.status = AuthorizationStatus::deactivated; });
     },
     Says::refused, SigningRule::authorization, ProblemType::orderNotReady,
     ProblemType::unauthorized},
    {"an authorization expires",
     [](Fixture& f) {
       f.change_authorization(
           [&](Authorization& held) { held.expires = f.services.store.clock.now(); });
     },
     Says::refused, SigningRule::authorization, ProblemType::orderNotReady,
     ProblemType::unauthorized},
    {"the challenge type is switched off",
     [](Fixture& f) {
       f.change_policy([](service::Directory& directory) {
         directory.profiles.at("default").challenge_types = {"dns-01"};
       });
     },
     Says::refused, SigningRule::proof, std::nullopt, ProblemType::unauthorized},
    {"the profile is removed",
     [](Fixture& f) {
       f.change_policy([](service::Directory& directory) {
         directory.profiles = {{"other", directory.profiles.at("default")}};
         directory.default_profile = "other";
       });
     },
     Says::refused, SigningRule::profile, std::nullopt, ProblemType::unauthorized},
    {"the key is blocked",
     [](Fixture& f) {
       f.write(
           [&](store::Tx& tx) { tx.blocked_keys().add(f.key.sha256, tx.now(), "a test says so"); });
     },
     Says::refused, SigningRule::key, ProblemType::badCSR, ProblemType::badCSR},
    {"the key becomes an account's, of another directory",
     [](Fixture& f) {
       Account other = f.account;
       other.id = AccountId("other");
       other.directory = DirectoryId("another");
       other.key_thumbprint = "of the certificate's key";
       other.key_spki_sha256 = f.key.sha256;
       f.write([&](store::Tx& tx) { REQUIRE(tx.accounts().insert(other)); });
     },
     Says::refused, SigningRule::key, ProblemType::badCSR, ProblemType::badCSR},
    {"no CAA records were asked for",
     [](Fixture& f) {
       f.change_authorization([](Authorization& held) { held.caa_checked = std::nullopt; });
     },
     Says::caa_due, std::nullopt, std::nullopt, std::nullopt},
    {"CAA records were asked for too long ago",
     [](Fixture& f) {
       f.change_authorization([&](Authorization& held) {
         held.caa_checked = f.services.store.clock.now() - service::kCaaAge - seconds(1);
       });
     },
     Says::caa_due, std::nullopt, std::nullopt, std::nullopt},
    {"CAA records were asked for in the future",
     [](Fixture& f) {
       f.change_authorization([&](Authorization& held) {
         held.caa_checked = f.services.store.clock.now() + seconds(61);
       });
     },
     Says::caa_due, std::nullopt, std::nullopt, std::nullopt},
    // By another process of the same database: this one's memory does not know.
    {"issuance is stopped",
     [](Fixture& f) {
       f.write([](store::Tx& tx) {
         tx.state().set("issuance.stopped.operator",
                        R"({"since":"2026-06-01T12:00:00Z","by":"operator:0","why":"halt"})");
       });
     },
     Says::stopped, std::nullopt, std::nullopt, std::nullopt},
    {"the intent is too old",
     [](Fixture& f) { f.services.advance(service::IssuanceJob::kIntentAge + seconds(1)); },
     Says::stale, std::nullopt, std::nullopt, std::nullopt},
    {"the intent is from the future",
     [](Fixture& f) {
       f.services.store.clock.advance(-seconds(61));
       f.change_authorization(
           [&](Authorization& held) { held.caa_checked = f.services.store.clock.now(); });
     },
     Says::stale, std::nullopt, std::nullopt, std::nullopt},
    {"the profile changes",
     [](Fixture& f) {
       f.change_policy([](service::Directory& directory) {
         directory.profiles.at("default").validity = std::chrono::hours(24 * 30);
       });
     },
     Says::stale, std::nullopt, std::nullopt, std::nullopt},
    {"the key policy changes",
     [](Fixture& f) {
       f.change_policy(
           [](service::Directory& directory) { directory.certificate_keys.rsa_min_bits = 3072; });
     },
     Says::stale, std::nullopt, std::nullopt, std::nullopt},
};

void run_to_the_end(Fixture& f) {
  f.services.run_jobs();
  f.services.stops().resume(service::IssuanceStops::AcceptClock::no, OperatorByUid{0});
  f.services.run_jobs();
}

TEST_CASE("what forbids a signature keeps finalize from marking the intent it stores") {
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    Fixture f;
    f.services.ca->on_prepare([&] {
      f.services.ca->on_prepare(nullptr);
      row.break_it(f);
    });
    if (row.finalize) {
      const Problem problem = testing::rejection_of([&] { f.finalize(); });
      CHECK(problem.type == *row.finalize);
      CHECK_FALSE(f.intent());
      CHECK(f.services.lane.waiting() == 0);
    } else {
      f.finalize();
      REQUIRE(f.intent());
      CHECK(f.intent()->state == IssuanceState::prepared);
      CHECK(says(f.verdict(*f.intent())) == row.verdict);
    }
    CHECK(f.services.ca->calls().empty());
    run_to_the_end(f);
    CHECK((f.services.ca->signed_certificates() == 1) == (!row.finalize && !row.job));
  }
}

TEST_CASE("what forbids a signature keeps the job from marking the intent that was stored") {
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    Fixture f;
    f.services.lane.set_places(0);
    f.finalize();
    f.services.lane.set_places(1);
    const store::Issuance intent = f.intent().value();
    CHECK(says(f.verdict(intent)) == Says::yes);
    row.break_it(f);
    const SigningVerdict verdict = f.verdict(intent);
    CHECK(says(verdict) == row.verdict);
    if (row.rule) {
      REQUIRE(verdict.refusal);
      CHECK(verdict.refusal->rule == *row.rule);
    }
    f.services.resolver.fail("a.test", net::RecordType::CAA, net::DnsError::Kind::timeout);
    f.services.run_jobs();
    if (row.verdict == Says::stale) {
      CHECK(f.intent()->serial != intent.serial);
    } else {
      CHECK(f.services.ca->calls().empty());
    }
    if (!row.job) continue;
    const auto view = f.services.show(f.account, f.order);
    REQUIRE(view.order.error);
    CHECK(view.order.error->type == *row.job);
    CHECK(f.services.issuances(f.order.order.id).front().state == IssuanceState::abandoned);
  }
}

TEST_CASE("an intent is stale when it is not what would be prepared now") {
  struct Stale {
    std::string name;
    std::function<void(store::Issuance&)> change;
    bool stale;
  };

  const Instant now = testing::kNoon;
  const Stale rows[] = {
      {"as it was prepared", [](store::Issuance&) {}, false},
      {"as old as may be",
       [&](store::Issuance& intent) { intent.created = now - service::IssuanceJob::kIntentAge; },
       false},
      {"a second older",
       [&](store::Issuance& intent) {
         intent.created = now - service::IssuanceJob::kIntentAge - seconds(1);
       },
       true},
      {"from a minute ahead", [&](store::Issuance& intent) { intent.created = now + minutes(1); },
       false},
      {"from further ahead",
       [&](store::Issuance& intent) { intent.created = now + minutes(1) + seconds(1); }, true},
      {"another profile", [](store::Issuance& intent) { intent.profile_hash += "0"; }, true},
      {"another backend", [](store::Issuance& intent) { intent.backend = "another"; }, true},
      {"another key policy", [](store::Issuance& intent) { intent.key_policy_hash += "0"; }, true},
      {"another issuer",
       [](store::Issuance& intent) {
         intent.issuer = IssuerId("x");
         intent.expected.clear();  // so that the column counts, as in an intent of before
       },
       true},
  };
  Fixture f;
  f.finalize();
  const store::Issuance intent = f.intent().value();
  REQUIRE(intent.created == now);
  for (const Stale& row : rows) {
    CAPTURE(row.name);
    store::Issuance changed = intent;
    row.change(changed);
    CHECK(f.verdict(changed).stale.has_value() == row.stale);
  }
}

TEST_CASE("each of an order's authorizations counts, whichever is withdrawn") {
  for (const std::size_t withdrawn : {std::size_t{0}, std::size_t{2}}) {
    CAPTURE(withdrawn);
    TestServices services;
    const Account account = services.new_account();
    const auto order = services.prepared_order(account, {"a.test", "b.test", "c.test"});
    services.authorizations().deactivate(account, order.order.authorizations[withdrawn]);
    services.run_jobs();
    CHECK(services.show(account, order).status == OrderStatus::invalid);
    CHECK(services.ca->calls().empty());
  }
}

}  // namespace
}  // namespace gatehouse
