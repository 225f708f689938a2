// A request that surely did not reach the CA: backends::NotSent.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/faulty_database.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using store::IssuanceState;
using testing::ScriptedBackend;
using testing::TestKey;
using testing::TestServices;
using Step = ScriptedBackend::Step;

std::vector<IssuanceState> states_of(TestServices& services, const OrderId& order) {
  std::vector<IssuanceState> states;
  for (const store::Issuance& issuance : services.issuances(order))
    states.push_back(issuance.state);
  std::ranges::sort(states);
  return states;
}

CertificateRecord certificate_of(TestServices& services, const service::OrderView& view) {
  return services.store->read(
      [&](store::Tx& tx) { return tx.certificates().get(view.order.certificate.value()).value(); });
}

TEST_CASE("a request that was not sent is sent again, with the same intent") {
  for (const bool repeatable : {true, false}) {
    CAPTURE(repeatable);
    TestServices services({.repeatable = repeatable});
    const Account account = services.new_account();
    const auto order = services.processing_order(account, {"a.test"});
    const std::string serial = services.issuances(order.order.id).front().serial;
    services.ca->always(Step::not_sent);
    // More often than a CA may fail before it is in doubt.
    for (int i = 0; i < 2 * service::IssuanceJob::kFailuresBeforeDoubt; ++i) {
      services.run_jobs();
      CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::prepared});
      services.advance(std::chrono::minutes(2));
    }
    CHECK(services.parked().empty());
    CHECK(services.ca->prepared() == 1);
    services.ca->always(Step::issue);
    services.advance(std::chrono::minutes(5));
    services.run_jobs();
    const auto view = services.show(account, order);
    REQUIRE(view.status == OrderStatus::valid);
    CHECK(certificate_of(services, view).serial == serial);
    CHECK(services.issuances(order.order.id).size() == 1);
    for (const auto& call : services.ca->calls()) CHECK_FALSE(call.resumed);
  }
}

TEST_CASE("the CA's Retry-After says when, else the pause grows with the wait, up to 5 minutes") {
  struct Row {
    std::optional<std::chrono::seconds> retry_after;
    std::chrono::seconds waited, pause;
  };

  using std::chrono::seconds;
  const Row rows[] = {
      {seconds(17), seconds(0), seconds(17)},          {seconds(0), seconds(0), seconds(1)},
      {seconds(1'000'000), seconds(0), seconds(3600)}, {std::nullopt, seconds(0), seconds(2)},
      {std::nullopt, seconds(100), seconds(50)},       {std::nullopt, seconds(3000), seconds(300)}};
  for (const Row& row : rows) {
    CAPTURE(row.pause.count());
    TestServices services({.repeatable = false});
    const Account account = services.new_account();
    const auto order = services.processing_order(account, {"a.test"});
    services.ca->retry_after(row.retry_after);
    services.ca->always(Step::not_sent);
    services.advance(row.waited);
    services.run_jobs();
    CHECK(services.ca->calls().size() == 1);
    services.advance(row.pause - seconds(1));
    services.run_jobs();
    CHECK(services.ca->calls().size() == 1);
    services.advance(seconds(1));
    services.run_jobs();
    CHECK(services.ca->calls().size() == 2);
  }
}

TEST_CASE("after a crash between submit and what it said, the CA is only asked about it") {
  TestServices services({.repeatable = false});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->always(Step::not_sent);
  services.ca->next(Step::fail);  // its answer is lost: it may have been sent
  services.run_jobs();
  services.restart();
  for (int i = 0; i < 30; ++i) {
    services.advance(std::chrono::minutes(5));
    services.run_jobs();
    CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::submitted});
  }
  services.ca->always(Step::issue);
  services.advance(std::chrono::minutes(5));
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
  CHECK(services.ca->prepared() == 1);
  const auto calls = services.ca->calls();
  CHECK_FALSE(calls.front().resumed);
  CHECK(std::ranges::all_of(calls.begin() + 1, calls.end(), &ScriptedBackend::Call::resumed));
}

TEST_CASE(
    "an intent in doubt that an operator has asked about stays in doubt when it was not sent") {
  TestServices services({.repeatable = false});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->next(Step::doubt);
  services.run_jobs();
  services.store->write([&](store::Tx& tx) {
    tx.jobs().unpark(store::JobKind::issue_certificate, order.order.id.str(), tx.job_now());
  });
  services.ca->next(Step::not_sent);
  services.run_jobs();
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::in_doubt});
  services.advance(std::chrono::minutes(5));
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
}

TEST_CASE("a request that was not sent within the hour is made anew, and the old one never sent") {
  TestServices services({.repeatable = false});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->next(Step::not_sent);
  services.run_jobs();
  services.advance(std::chrono::hours(2));
  services.run_jobs();
  const auto view = services.show(account, order);
  REQUIRE(view.status == OrderStatus::valid);
  CHECK(states_of(services, order.order.id) ==
        std::vector{IssuanceState::issued, IssuanceState::abandoned});
  CHECK(services.ca->signed_certificates() == 1);
}

TEST_CASE("an account deactivated while its request was not sent gets no certificate") {
  TestServices services({.repeatable = false});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->next(Step::not_sent);
  services.run_jobs();
  services.accounts().deactivate(account);
  services.advance(std::chrono::minutes(5));
  services.run_jobs();
  CHECK(services.ca->calls().size() == 1);
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::abandoned});
}

}  // namespace
}  // namespace gatehouse
