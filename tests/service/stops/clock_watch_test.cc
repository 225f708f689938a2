#include "acme-server/service/stops/clock_watch.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/stops.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {

using service::IssuanceStops;
using service::StopReason;
using std::chrono::hours;
using std::chrono::seconds;

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
    const auto waiting = services.prepared_order(account, {"a.test"});
    services.advance(hours(3));  // passing time is no jump
    services.clock_watch().note_time();
    services.uptime.set_clock_by(row.jump);
    services.run_jobs();
    CHECK((services.ca->signed_certificates() == 0) == row.stops);
    CHECK(is_valid_order(services, account, waiting) != row.stops);
    CHECK(services.stops().may_begin() != row.stops);
    services.stops().look();
    CHECK(audited(services).size() == (row.stops ? 1U : 0U));
  }
}

TEST_CASE("with a wrong clock nothing new is begun, and nothing that was begun is lost") {
  TestServices services;
  const Account account = services.new_account();
  const auto pending = services.new_order(account, {"p.test"});
  const auto ready = services.ready_order(account, {"r.test"});
  const auto processing = services.prepared_order(account, {"c.test"});
  services.uptime.set_clock_by(hours(2));

  const auto refused = [&](auto call) {
    const Problem problem = rejection_of(call);
    CHECK(problem.type == ProblemType::serverInternal);
    CHECK(problem.status == 503);
    CHECK(problem.retry_after == IssuanceStops::kRetryAfter);
  };
  refused([&] { services.new_order(account, {"n.test"}); });
  refused([&] { services.respond(account, pending); });
  refused([&] { services.orders().finalize(account, ready.order.id, TestKey().csr({"r.test"})); });
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);

  services.uptime.set_clock_by(-hours(2));  // set right: that alone ends no stop
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);
  services.stops().resume(IssuanceStops::AcceptClock::yes, kOperator);
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
    const auto processing = services.prepared_order(account, {"c.test"});
    services.uptime.set_clock_by(jump);
    services.store.job_clock.advance(jump);
    services.stops().look();
    CHECK(reasons(services) == std::vector{StopReason::clock});
    CHECK(
        reasons_of(services.stops().resume(IssuanceStops::AcceptClock::no, kOperator).remaining) ==
        std::vector{StopReason::clock});
    const auto resumed = services.stops().resume(IssuanceStops::AcceptClock::yes, kOperator);
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
    CHECK(services.stops().all().empty() != row.stops);
    if (!row.stops) continue;
    services.restart();  // it does not go by itself, nor when the clock is right again
    CHECK_FALSE(services.stops().all().empty());
    services.uptime.set_clock_by(-row.jump);
    services.restart();
    CHECK_FALSE(services.stops().all().empty());
  }
}

TEST_CASE("the stop and the time that a database has from before are taken up") {
  TestServices services;
  const auto set = [&](const char* name, const char* value) {
    services.store->write([&](store::Tx& tx) { tx.state().set(name, value); });
  };
  // Noted by a process of another boot, an hour ahead of what the clock says now.
  set("clock.seen", "2026-06-01T13:00:00Z");
  set("clock.boot", "11111111-2222-3333-4444-555555555555 3600");
  services.restart();
  REQUIRE(reasons(services) == std::vector{StopReason::clock});
  CHECK(services.stops().all().front().why ==
        "The clock says 2026-06-01T12:00:00Z, but the database was in use at "
        "2026-06-01T13:00:00Z.");
  CHECK(services.store->read([](store::Tx& tx) {
    return tx.state().get("issuance.stopped.clock");
  }) == R"({"since":"2026-06-01T12:00:00Z","by":"server","why":"The clock says )"
        R"(2026-06-01T12:00:00Z, but the database was in use at 2026-06-01T13:00:00Z."})");

  set("issuance.stopped.clock",
      R"({"since":"2026-05-01T00:00:00Z","by":"server","why":"It was off."})");
  services.restart();
  CHECK(services.stops().all().front().why == "It was off.");
  services.stops().resume(IssuanceStops::AcceptClock::yes, kOperator);
  CHECK(reasons(services).empty());
  CHECK(services.store->read([](store::Tx& tx) { return tx.state().get("clock.seen"); }) ==
        "2026-06-01T12:00:00Z");
}

}  // namespace gatehouse::testing
