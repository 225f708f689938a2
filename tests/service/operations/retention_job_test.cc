#include "acme-server/service/operations/retention_job.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "acme-server/service/certificates/crl_job.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {
namespace {

using service::RetentionJob;
using service::RetentionOptions;
using std::chrono::hours;

constexpr hours kDay{24};

std::int64_t rows_of(TestServices& services, const std::string& table) {
  const auto reader = services.store.database().connect_reader();
  return reader->query("SELECT COUNT(*) FROM " + table, {}).front().integer(0);
}

bool refers_to_nothing(TestServices& services) {
  const auto reader = services.store.database().connect_reader();
  return !reader->query("PRAGMA foreign_key_check", {}).empty();
}

struct Fixture {
  explicit Fixture(const RetentionOptions& options = {}) : job(services.context(), options) {
    services.runner().add(job, services.lane);
  }

  // As long as there is anything to walk over.
  void prune() {
    job.enqueue();
    for (int i = 0; i < 20; ++i) {
      services.run_jobs();
      services.store.job_clock.advance(std::chrono::seconds(1));
    }
  }

  TestServices services;
  RetentionJob job;
  Account account = services.new_account();
};

}  // namespace

TEST_CASE("expired orders and authorizations go, what is in processing and what is valid stays") {
  Fixture f;
  f.services.new_order(f.account, {"never-begun.test"});
  f.services.ready_order(f.account, {"never-finalized.test"});
  f.services.http01->always(Problem{.type = ProblemType::connection, .detail = "no answer"});
  const auto failed = f.services.new_order(f.account, {"wrong.test"});
  f.services.respond(f.account, failed);
  for (int i = 0; i < 5; ++i) {  // the tries of RFC 8555 section 8.2
    f.services.run_jobs();
    f.services.advance(std::chrono::minutes(1));
  }
  f.services.http01->always(std::nullopt);
  const auto issued = f.services.processing_order(f.account, {"issued.test"});
  f.services.run_jobs();
  f.services.stops().stop("a test", OperatorByUid{0});
  const auto processing = f.services.processing_order(f.account, {"waiting.test"});

  f.services.advance(6 * kDay);
  f.prune();
  CHECK(rows_of(f.services, "orders") == 5);
  f.services.advance(14 * kDay);  // all have expired, none long enough ago; one had failed
  f.prune();
  CHECK(rows_of(f.services, "orders") == 4);
  f.services.advance(30 * kDay);
  f.prune();
  CHECK(rows_of(f.services, "orders") == 2);
  CHECK(f.services.show(f.account, issued).status == OrderStatus::valid);
  CHECK(f.services.show(f.account, processing).status == OrderStatus::processing);
  // Theirs, and no others.
  CHECK(rows_of(f.services, "authorizations") == 2);
  CHECK(rows_of(f.services, "certificates") == 1);
  CHECK_FALSE(refers_to_nothing(f.services));
  CHECK_FALSE(f.services.store->read([](store::Tx& tx) { return tx.audit().why_broken(); }));
  CHECK(f.services.store.metrics.text().find("gatehouse_pruned_total{what=\"orders\"} 3") !=
        std::string::npos);
}

TEST_CASE(
    "what has failed goes sooner than what has expired, and what it might still become stays") {
  Fixture f({.failed = 2 * kDay});
  f.services.ready_order(f.account, {"shared.test"});
  f.services.http01->always(Problem{.type = ProblemType::connection, .detail = "no answer"});
  const auto failed = f.services.new_order(f.account, {"shared.test", "wrong.test"});
  f.services.respond(f.account, failed);
  for (int i = 0; i < 5; ++i) {
    f.services.run_jobs();
    f.services.advance(std::chrono::minutes(1));
  }
  REQUIRE(f.services.show(f.account, failed).status == OrderStatus::invalid);
  const auto pending = f.services.new_order(f.account, {"pending.test"});
  const std::int64_t authorizations = rows_of(f.services, "authorizations");
  f.services.advance(kDay);
  f.prune();
  CHECK(rows_of(f.services, "orders") == 3);
  f.services.advance(2 * kDay);
  f.prune();
  CHECK(rows_of(f.services, "orders") == 2);
  CHECK(rows_of(f.services, "authorizations") == authorizations - 1);  // "shared.test" is valid
  CHECK(f.services.show(f.account, pending).status == OrderStatus::pending);
  CHECK_FALSE(refers_to_nothing(f.services));
}

TEST_CASE("certificates stay for good, or as long as the options say and their CRL needs") {
  for (const bool forever : {true, false}) {
    CAPTURE(forever);
    Fixture f(forever ? RetentionOptions{} : RetentionOptions{.certificates = kDay});
    const auto view = f.services.processing_order(f.account, {"a.test"});
    f.services.run_jobs();
    const CertificateId id = f.services.show(f.account, view).order.certificate.value();
    const auto record =
        f.services.store->read([&](store::Tx& tx) { return tx.certificates().get(id); }).value();
    f.services.store->write(
        [&](store::Tx& tx) { tx.certificates().revoke(id, {.at = tx.now(), .reason = 4}); });
    const service::ServerRules rules = f.services.policy.get()->server;
    // Revoked and expired: on the CRLs of one lifetime more, whatever the option says.
    const auto past_end = record.not_after - f.services.store.clock.now();
    f.services.advance(past_end + rules.crl_lifetime);
    f.prune();
    CHECK(rows_of(f.services, "certificates") == 1);
    f.services.advance(rules.crl_lifetime + kDay);
    f.prune();
    CHECK(rows_of(f.services, "certificates") == (forever ? 1 : 0));
    if (forever) continue;
    for (const char* table :
         {"orders", "issuances", "certificate_identifiers", "order_authorizations",
          "order_identifiers", "authorizations", "challenges"}) {
      CAPTURE(std::string(table));
      CHECK(rows_of(f.services, table) == 0);
    }
    CHECK_FALSE(refers_to_nothing(f.services));
  }
}

TEST_CASE("an order of which something may have been signed stays") {
  Fixture f;
  const auto view = f.services.prepared_order(f.account, {"a.test"});
  // As a deactivated account leaves it behind when its intent was marked already.
  f.services.store->write([&](store::Tx& tx) {
    const auto intent = tx.issuances().current(view.order.id).value();
    CHECK(tx.issuances().move(intent.id, store::IssuanceState::prepared,
                              store::IssuanceState::submitted));
    CHECK(tx.orders().fail(view.order.id, {.type = ProblemType::unauthorized, .detail = "gone"}));
  });
  f.services.run_jobs();
  f.services.advance(90 * kDay);
  f.prune();
  CHECK(rows_of(f.services, "orders") == 1);
  CHECK(rows_of(f.services, "issuances") == 1);
}

TEST_CASE("much is removed in small transactions, over a restart, and never by a wrong clock") {
  Fixture f;
  constexpr int kOrders = 230;
  for (int i = 0; i < kOrders; ++i) {
    f.services.new_order(f.account, {"n" + std::to_string(i) + ".test"});
  }
  f.services.uptime.set_clock_by(60 * kDay);
  f.prune();
  CHECK(rows_of(f.services, "orders") == kOrders);
  f.services.stops().resume(service::IssuanceStops::AcceptClock::yes, OperatorByUid{0});
  f.prune();
  CHECK(rows_of(f.services, "orders") == 0);
  CHECK(rows_of(f.services, "authorizations") == 0);
  CHECK(rows_of(f.services, "challenges") == 0);
}

}  // namespace gatehouse::testing
