// Accounts take turns at the lanes that clients feed, and what hangs does not hold the others up.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/landed_schema.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using store::JobKind;
using testing::SteppedExecutor;
using testing::TestServices;

// Every try's time is over at once: what is not answered in the same instant is too late. It does
// not take a test's time, and a brief run is cut short all the same.
service::Directory without_time() {
  service::Directory directory = TestServices::default_directory();
  directory.validation_timeout = std::chrono::seconds(0);
  return directory;
}

service::OrderView respond_to_order(TestServices& services, const Account& account,
                                    std::size_t names) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < names; ++i) all.push_back("n" + std::to_string(i) + ".test");
  service::OrderView view = services.new_order(account, all);
  services.respond(account, view);
  return view;
}

const Challenge& first_challenge(TestServices& services, const Account& account,
                                 const service::OrderView& view, Authorization& authorization) {
  authorization = services.authorizations().get(account, view.order.authorizations.front()).value();
  return authorization.challenges.front();
}

TEST_CASE(
    "an account with a hundred validations leaves places for others, whose own begins at once") {
  TestServices services;
  const Account attacker = services.new_account();
  respond_to_order(services, attacker, 100);
  CHECK(services.lane.waiting() == SteppedExecutor::kPlaces / 2);
  CHECK(services.runner().run_due_once() == 0);
  const Account honest = services.new_account();
  const std::size_t before = services.lane.waiting();
  const service::OrderView view = respond_to_order(services, honest, 1);
  REQUIRE(services.lane.waiting() == before + 1);
  services.lane.set_choose([](std::size_t waiting) { return waiting - 1; });
  services.lane.step();
  CHECK(services.show(honest, view).status == OrderStatus::ready);
  services.run_jobs();  // what waited comes when there is room
  CHECK(services.store->read(
            [](store::Tx& tx) { return tx.jobs().count(JobKind::validate_challenge); }) == 0);
}

TEST_CASE("places that come free are given in turn, not to who has waited for longest") {
  TestServices services;
  services.lane.set_places(0);
  std::vector<Account> accounts;
  for (int i = 0; i < 3; ++i) {
    accounts.push_back(services.new_account());
    respond_to_order(services, accounts.back(), 20);
  }
  const Account honest = services.new_account();
  const service::OrderView view = respond_to_order(services, honest, 1);
  services.lane.set_places(4);
  CHECK(services.runner().run_due_once() == 4);  // two full runs, two brief ones
  services.lane.run();
  CHECK(services.show(honest, view).status == OrderStatus::ready);
}

TEST_CASE("a brief try that is over does not count, and the next one has its full time") {
  TestServices services({.directory = without_time()});
  services.http01->always(Problem{.type = ProblemType::connection, .detail = "no answer"});
  const Account account = services.new_account();
  services.lane.set_places(2);
  const service::OrderView full = respond_to_order(services, account, 1);
  const service::OrderView brief = services.new_order(account, {"brief.test"});
  services.respond(account, brief);
  REQUIRE(services.lane.waiting() == 2);
  services.lane.run();
  Authorization authorization;
  CHECK(first_challenge(services, account, full, authorization).attempts == 1);
  const Challenge challenge = first_challenge(services, account, brief, authorization);
  CHECK(challenge.status == ChallengeStatus::processing);
  CHECK(challenge.attempts == 0);
  CHECK_FALSE(challenge.error);
  services.run_due_once();
  CHECK(first_challenge(services, account, brief, authorization).attempts == 1);
}

TEST_CASE("a brief try that was answered counts, whatever the time") {
  TestServices services({.directory = without_time()});
  const Account account = services.new_account();
  services.lane.set_places(2);
  respond_to_order(services, account, 1);
  const service::OrderView brief = services.new_order(account, {"brief.test"});
  services.respond(account, brief);
  services.lane.run();
  CHECK(services.show(account, brief).status == OrderStatus::ready);
}

TEST_CASE("CAA questions that hang before issuance are cut short, and asked again in a full run") {
  TestServices services;
  const Account account = services.new_account();
  const service::OrderView one = services.ready_order(account, {"one.test"});
  const service::OrderView two = services.ready_order(account, {"two.test"});
  services.use(without_time());
  services.advance(std::chrono::hours(9));
  services.resolver.fail("one.test", net::RecordType::CAA, net::DnsError::Kind::timeout);
  services.resolver.fail("two.test", net::RecordType::CAA, net::DnsError::Kind::timeout);
  services.lane.set_places(2);
  services.orders().finalize(account, one.order.id, testing::TestKey().csr({"one.test"}));
  services.orders().finalize(account, two.order.id, testing::TestKey().csr({"two.test"}));
  REQUIRE(services.lane.waiting() == 2);
  services.lane.run();
  const auto state = [&](const service::OrderView& view) {
    return services.store->read([&](store::Tx& tx) {
      return tx.jobs().find(JobKind::issue_certificate, view.order.id.str()).value();
    });
  };
  CHECK(state(one).attempts == 1);
  CHECK(state(two).attempts == 0);
  CHECK(state(two).run_at == services.store.job_clock.now());
  services.resolver.clear();
  services.run_due_once();
  CHECK(services.show(account, two).status == OrderStatus::valid);
}

TEST_CASE("jobs of a database from before have the account of their challenge or order") {
  TestServices services;
  const Account account = services.new_account();
  const service::OrderView finalized = services.prepared_order(account, {"b.test"});
  services.lane.set_places(0);
  respond_to_order(services, account, 1);
  services.lane.set_places(SteppedExecutor::kPlaces);
  services.store->write([](store::Tx& tx) {
    tx.jobs().enqueue("crl", JobKind::publish_crl, "shard", tx.job_now());
    tx.jobs().enqueue("gone", JobKind::issue_certificate, "gone", tx.job_now());
  });
  services.restart(
      [](sql::Database& database) { testing::return_to_schema(*database.connect_writer(), 6); });
  const auto accounts_of = [&](JobKind kind) {
    std::vector<AccountId> accounts;
    for (const store::DueJob& job : services.store->read(
             [&](store::Tx& tx) { return tx.jobs().due(kind, tx.job_now(), {}); })) {
      accounts.push_back(job.account);
    }
    return accounts;
  };
  CHECK(accounts_of(JobKind::validate_challenge) == std::vector<AccountId>{account.id});
  CHECK(accounts_of(JobKind::publish_crl) == std::vector<AccountId>{AccountId()});
  CHECK(accounts_of(JobKind::issue_certificate) == std::vector<AccountId>{account.id, AccountId()});
}

}  // namespace
}  // namespace gatehouse
