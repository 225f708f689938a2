#include "acme-server/service/operations/issuance_gate.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/faulty_database.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {
namespace {

using service::IssuanceGate;
using service::Stop;
using service::StopReason;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr OperatorByUid kOperator{1000};

std::vector<StopReason> reasons_of(const std::vector<Stop>& stops) {
  std::vector<StopReason> reasons;
  for (const Stop& stop : stops) reasons.push_back(stop.reason);
  return reasons;
}

// The reasons in force.
std::vector<StopReason> reasons(TestServices& services) {
  return reasons_of(services.gate().stops());
}

// The audit trail's word on stops, in order.
std::vector<std::string> audited(TestServices& services) {
  std::vector<std::string> all;
  for (const store::AuditRow& row :
       services.store->read([](store::Tx& tx) { return tx.audit().list(0, 1000); })) {
    if (!row.event.kind.starts_with("issuance.")) continue;
    all.push_back(row.event.kind + " " + row.event.details.at("reason").get<std::string>() + " " +
                  to_string(row.event.actor));
  }
  return all;
}

bool is_valid_order(TestServices& services, const Account& account,
                    const service::OrderView& view) {
  return services.show(account, view).status == OrderStatus::valid;
}

}  // namespace

TEST_CASE("the operator's stop keeps orders in processing, over a restart, until their word") {
  TestServices services;
  const Account account = services.new_account();
  CHECK(services.gate().stop("the key may be known", kOperator));
  CHECK_FALSE(services.gate().stop("again", kOperator));
  // Everything up to the signature goes on.
  const auto view = services.processing_order(account, {"a.test"});
  services.run_jobs();
  CHECK(services.show(account, view).status == OrderStatus::processing);
  CHECK(services.show(account, view).retry_after == IssuanceGate::kRetryAfter);
  CHECK(services.ca->signed_certificates() == 0);

  services.restart();
  REQUIRE(services.gate().stops().size() == 1);
  CHECK(services.gate().stops().front().why == "the key may be known");
  CHECK(services.gate().stops().front().by == Principal(kOperator));
  services.advance(minutes(10));
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);

  const auto resumed = services.gate().resume(IssuanceGate::ClockWord::none, OperatorByUid{0});
  CHECK(reasons_of(resumed.ended) == std::vector{StopReason::by_operator});
  CHECK(resumed.remaining.empty());
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
  CHECK(audited(services) == std::vector<std::string>{"issuance.stopped operator operator:1000",
                                                      "issuance.resumed operator operator:0"});
  CHECK(services.gate().resume(IssuanceGate::ClockWord::none, kOperator).ended.empty());
  CHECK(audited(services).size() == 2);  // nothing happened, nothing is said
}

TEST_CASE("a stop that comes between the claim of a job and its mark holds") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.processing_order(account, {"a.test"});
  // What another process of the same database would have written: this one's memory does not know.
  services.store->write([](store::Tx& tx) {
    tx.state().set("issuance.stopped.operator",
                   R"({"since":"2026-06-01T12:00:00Z","by":"operator:0","why":"halt"})");
  });
  CHECK(services.runner().run_due_once() == 1);
  CHECK(services.ca->signed_certificates() == 0);
  CHECK(services.issuances(view.order.id).front().state == store::IssuanceState::prepared);
  services.gate().resume(IssuanceGate::ClockWord::none, kOperator);
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
}

TEST_CASE("a clock that jumps while we run stops issuance, in either direction") {
  struct Row {
    seconds jump;
    bool stops;
  };

  for (const Row& row :
       {Row{seconds(60), false}, Row{seconds(-60), false}, Row{seconds(61), true},
        Row{seconds(-61), true}, Row{hours(24 * 365), true}, Row{-hours(24 * 365), true}}) {
    CAPTURE(row.jump.count());
    TestServices services;
    const Account account = services.new_account();
    const auto waiting = services.processing_order(account, {"a.test"});
    services.advance(hours(3));  // passing time is no jump
    services.gate().note_time();
    services.uptime.set_clock_by(row.jump);
    services.run_jobs();
    CHECK((services.ca->signed_certificates() == 0) == row.stops);
    CHECK(is_valid_order(services, account, waiting) != row.stops);
    CHECK(services.gate().may_begin() != row.stops);
    services.gate().look();
    CHECK(audited(services).size() == (row.stops ? 1U : 0U));
  }
}

TEST_CASE("with a wrong clock nothing new is begun, and nothing that was begun is lost") {
  TestServices services;
  const Account account = services.new_account();
  const auto pending = services.new_order(account, {"p.test"});
  const auto ready = services.ready_order(account, {"r.test"});
  const auto processing = services.processing_order(account, {"c.test"});
  services.uptime.set_clock_by(hours(2));

  const auto refused = [&](auto call) {
    const Problem problem = rejection_of(call);
    CHECK(problem.type == ProblemType::serverInternal);
    CHECK(problem.status == 503);
    CHECK(problem.retry_after == IssuanceGate::kRetryAfter);
  };
  refused([&] { services.new_order(account, {"n.test"}); });
  refused([&] { services.respond(account, pending); });
  refused([&] { services.orders().finalize(account, ready.order.id, TestKey().csr({"r.test"})); });
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);

  services.uptime.set_clock_by(-hours(2));  // set right: that is not yet the operator's word
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);
  services.gate().resume(IssuanceGate::ClockWord::accept, kOperator);
  services.run_jobs();
  CHECK(is_valid_order(services, account, processing));
  services.respond(account, pending);
  services.run_jobs();
  CHECK(services.show(account, pending).status == OrderStatus::ready);
  services.orders().finalize(account, ready.order.id, TestKey().csr({"r.test"}));
  services.run_jobs();
  CHECK(is_valid_order(services, account, ready));
}

TEST_CASE("a clock that is accepted is followed, back as well, and what waits is due") {
  for (const seconds jump : {seconds(hours(24 * 365)), seconds(-hours(24 * 3))}) {
    CAPTURE(jump.count());
    TestServices services;
    const Account account = services.new_account();
    services.store->write([](store::Tx& tx) {
      tx.jobs().enqueue("far", store::JobKind::publish_crl, "shard", tx.job_now() + hours(24 * 30));
    });
    const auto processing = services.processing_order(account, {"c.test"});
    services.uptime.set_clock_by(jump);
    services.store.job_clock.advance(jump);
    services.gate().look();
    CHECK(reasons(services) == std::vector{StopReason::clock});
    CHECK(reasons_of(services.gate().resume(IssuanceGate::ClockWord::none, kOperator).remaining) ==
          std::vector{StopReason::clock});
    const auto resumed = services.gate().resume(IssuanceGate::ClockWord::accept, kOperator);
    CHECK(resumed.remaining.empty());
    const auto [now, due] = services.store->read(
        [](store::Tx& tx) { return std::pair(tx.now(), tx.jobs().next_run_at()); });
    CHECK(now == services.store.clock.now());
    CHECK(due <= services.store.job_clock.now());
    CHECK(services.new_order(account, {"n.test"}).order.created == services.store.clock.now());
    CHECK(audited(services) == std::vector<std::string>{"issuance.stopped clock server",
                                                        "issuance.resumed clock operator:1000"});
    services.restart();  // the new time is what the next start is held against
    CHECK(reasons(services).empty());
  }
}

TEST_CASE("the clock is held against what is stored after a restart") {
  struct Row {
    std::string what;
    bool reboot;
    seconds passed, jump;
    bool stops;
  };

  const Row rows[] = {
      {"nothing happened", false, seconds(5), seconds(0), false},
      {"down for a day", false, hours(24), seconds(0), false},
      {"set back meanwhile", false, hours(24), -hours(1), true},
      {"set ahead meanwhile", false, seconds(5), hours(1), true},
      {"a boot, slow", true, seconds(5), seconds(-60), false},
      {"a boot, set back", true, seconds(5), -hours(1), true},
      {"a boot: no telling from a time without power", true, seconds(5), hours(24 * 90), false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    TestServices services;
    services.advance(row.passed);
    if (row.reboot) services.uptime.reboot();
    services.uptime.set_clock_by(row.jump);
    services.restart();
    CHECK(services.gate().stops().empty() != row.stops);
    if (!row.stops) continue;
    services.restart();  // it does not go by itself, nor when the clock is right again
    CHECK_FALSE(services.gate().stops().empty());
    services.uptime.set_clock_by(-row.jump);
    services.restart();
    CHECK_FALSE(services.gate().stops().empty());
  }
}

TEST_CASE("too little room stops issuance before anything is signed, until there is more") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.processing_order(account, {"a.test"});
  services.free_space = TestServices::kFloor - 1;
  services.gate().look();
  CHECK(reasons(services) == std::vector{StopReason::disk});
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);
  CHECK(rejection_of([&] { services.new_order(account, {"n.test"}); }).status == 503);
  services.free_space = TestServices::kFloor;  // not every octet is worth a change of mind
  services.gate().look();
  CHECK(reasons(services) == std::vector{StopReason::disk});
  services.free_space = 2 * TestServices::kFloor;
  services.gate().look();
  CHECK(reasons(services).empty());
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
}

TEST_CASE("a write that failed for want of room stops issuance until one succeeds") {
  FaultPlan plan;
  TestServices services({.wrap = [&](std::unique_ptr<sql::Database> database) {
    return std::make_unique<FaultyDatabase>(std::move(database), plan);
  }});
  const Account account = services.new_account();
  services.gate().disk_failed();
  CHECK_FALSE(services.gate().may_begin());
  plan.set([](const CommitPoint&) { return Fault::fail_before; });
  services.gate().look();
  CHECK(reasons(services) == std::vector{StopReason::disk});
  plan.set({});
  services.gate().look();
  CHECK(reasons(services).empty());
  CHECK(services.new_order(account, {"n.test"}).status == OrderStatus::pending);
}

}  // namespace gatehouse::testing
