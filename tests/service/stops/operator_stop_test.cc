#include "acme-server/service/stops/operator_stop.h"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/stops.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {

using service::IssuanceStops;
using service::OperatorStop;
using service::StopReason;
using std::chrono::minutes;

TEST_CASE("the operator's stop keeps orders in processing, over a restart, until it is ended") {
  TestServices services;
  const Account account = services.new_account();
  CHECK(services.stops().stop("the key may be known", kOperator));
  CHECK_FALSE(services.stops().stop("again", kOperator));
  // Everything up to the signature goes on.
  const auto view = services.processing_order(account, {"a.test"});
  services.run_jobs();
  CHECK(services.show(account, view).status == OrderStatus::processing);
  CHECK(services.show(account, view).retry_after == IssuanceStops::kRetryAfter);
  CHECK(services.ca->signed_certificates() == 0);

  services.restart();
  REQUIRE(services.stops().all().size() == 1);
  CHECK(services.stops().all().front().why == "the key may be known");
  CHECK(services.stops().all().front().by == Principal(kOperator));
  services.advance(minutes(10));
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);

  const auto resumed = services.stops().resume(IssuanceStops::AcceptClock::no, OperatorByUid{0});
  CHECK(reasons_of(resumed.ended) == std::vector{StopReason::by_operator});
  CHECK(resumed.remaining.empty());
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
  CHECK(audited(services) == std::vector<std::string>{"issuance.stopped operator operator:1000",
                                                      "issuance.resumed operator operator:0"});
  CHECK(services.stops().resume(IssuanceStops::AcceptClock::no, kOperator).ended.empty());
  CHECK(audited(services).size() == 2);  // nothing happened, nothing is said
}

TEST_CASE("a stop that comes between the claim of a job and its mark holds") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.prepared_order(account, {"a.test"});
  // What another process of the same database would have written: this one's memory does not know.
  services.store->write([](store::Tx& tx) {
    tx.state().set("issuance.stopped.operator",
                   R"({"since":"2026-06-01T12:00:00Z","by":"operator:0","why":"halt"})");
  });
  CHECK(services.run_due_once() == 1);
  CHECK(services.ca->signed_certificates() == 0);
  CHECK(services.issuances(view.order.id).front().state == store::IssuanceState::prepared);
  services.stops().resume(IssuanceStops::AcceptClock::no, kOperator);
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
}

TEST_CASE("another node's stop holds at once, and is known here from the next look") {
  TestServices services;
  OperatorStop elsewhere(*services.store, services.store.clock, services.context().log,
                         services.store.metrics);
  const auto why_stopped = [&] {
    return services.store->read([&](store::Tx& tx) { return services.stops().why_stopped(tx); });
  };
  const Account account = services.new_account();
  const auto view = services.prepared_order(account, {"a.test"});
  CHECK(elsewhere.begin("halt", kOperator));
  // Whoever is about to sign asks the database.
  CHECK(why_stopped() == "halt");
  CHECK_FALSE(services.operator_stop().last_seen());
  services.stops().look();
  CHECK_FALSE(services.stops().may_issue());
  CHECK(reasons(services) == std::vector{StopReason::by_operator});
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);

  services.store->write([&](store::Tx& tx) { return OperatorStop::end(tx, kOperator, tx.now()); });
  CHECK(why_stopped() == std::nullopt);
  CHECK_FALSE(services.stops().may_issue());
  services.stops().look();
  CHECK(services.stops().may_issue());
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
}

TEST_CASE("an operator's stop is stored as databases have it, and shown by its gauge") {
  TestServices services;
  const auto gauge_is = [&](const std::string& value) {
    return services.store.metrics.text().find("gatehouse_issuance_stopped{reason=\"operator\"} " +
                                              value + "\n") != std::string::npos;
  };
  CHECK(gauge_is("0"));
  services.stops().stop("the \"key\" may be known", kOperator);
  CHECK(
      services.store->read(
          [](store::Tx& tx) { return tx.state().get("issuance.stopped.operator"); }) ==
      R"({"since":"2026-06-01T12:00:00Z","by":"operator:1000","why":"the \"key\" may be known"})");
  CHECK(gauge_is("1"));
  services.stops().resume(IssuanceStops::AcceptClock::no, kOperator);
  CHECK_FALSE(services.store->read(
      [](store::Tx& tx) { return tx.state().get("issuance.stopped.operator"); }));
  CHECK(gauge_is("0"));
}

}  // namespace gatehouse::testing
