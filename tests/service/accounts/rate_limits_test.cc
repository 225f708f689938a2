#include "acme-server/service/accounts/rate_limits.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using service::client_key;
using service::LimitedAction;
using service::RateLimits;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ManualClock;
using testing::rejection_of;
using testing::TestKey;
using testing::TestServices;

TEST_CASE("an hour's permits may be used at once, and come back evenly") {
  ManualClock clock;
  RateLimits rates(clock);
  const auto take = [&](const std::string& who = "a") {
    rates.take(LimitedAction::account_change, who, 6);
  };
  for (int i = 0; i < 6; ++i) CHECK_NOTHROW(take());
  const Problem refused = rejection_of([&] { take(); });
  CHECK(refused.type == ProblemType::rateLimited);
  CHECK(refused.retry_after == minutes(10));
  CHECK_NOTHROW(take("b"));
  CHECK_NOTHROW(rates.take(LimitedAction::key_change, "a", 6));
  clock.advance(minutes(10) - seconds(1));
  CHECK_THROWS(take());
  clock.advance(seconds(1));
  CHECK_NOTHROW(take());
  CHECK_THROWS(take());
  clock.advance(std::chrono::hours(100));
  for (int i = 0; i < 6; ++i) CHECK_NOTHROW(take());
  CHECK_THROWS(take());
  clock.set(clock.now() - std::chrono::hours(5));
  CHECK_THROWS(take());
  CHECK_NOTHROW(take(""));
}

TEST_CASE("a client is its address, or its /64") {
  CHECK(client_key("192.0.2.1") == "192.0.2.1");
  CHECK(client_key("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::");
  CHECK(client_key("2001:db8:1:2::9") == client_key("2001:db8:1:2:ffff::"));
  CHECK(client_key("2001:db8:1:3::9") != client_key("2001:db8:1:2::9"));
  CHECK(client_key("uid:0").empty());
  CHECK(client_key("").empty());
}

TEST_CASE(
    "new accounts are limited by address, and an account that is there is found all the same") {
  service::Directory directory = TestServices::default_directory();
  directory.max_new_accounts = 2;
  TestServices services({.directory = directory});
  const auto create = [&](const TestKey& key, const std::string& client) {
    return services.accounts().find_or_create(DirectoryId("default"), key.jwk, {.client = client});
  };
  const TestKey first;
  CHECK(create(first, "192.0.2.1").created);
  CHECK(create(TestKey(), "192.0.2.1").created);
  CHECK(rejection_of([&] { create(TestKey(), "192.0.2.1"); }).type == ProblemType::rateLimited);
  CHECK_FALSE(create(first, "192.0.2.1").created);
  CHECK(create(TestKey(), "192.0.2.2").created);
}

TEST_CASE("changes of the key have a rate of their own, and deactivation has none") {
  service::Directory directory = TestServices::default_directory();
  directory.max_account_changes = 1;
  TestServices services({.directory = directory});
  const TestKey key, second, third;
  const Account account = services.new_account(key);
  services.accounts().set_contacts(account, {});
  CHECK(rejection_of([&] { services.accounts().set_contacts(account, {}); }).type ==
        ProblemType::rateLimited);
  services.accounts().change_key(account, key.jwk, second.jwk);
  CHECK(rejection_of([&] {
          services.accounts().change_key(account, second.jwk, third.jwk);
        }).type == ProblemType::rateLimited);
  CHECK(services.accounts().deactivate(account).status == AccountStatus::deactivated);
}

TEST_CASE("a full disk takes no new accounts or contacts, but another key and deactivation") {
  TestServices services;
  const TestKey key, next;
  const Account account = services.new_account(key);
  const service::OrderView order = services.new_order(account, {"a.test"});
  services.free_space = TestServices::kFloor - 1;
  services.stops().look();
  const auto status_of = [](const auto& call) { return rejection_of(call).status; };
  CHECK(status_of([&] { services.new_account(); }) == 503);
  CHECK(status_of([&] { services.accounts().set_contacts(account, {}); }) == 503);
  CHECK(status_of([&] { services.accounts().agree_to_terms(account); }) == 503);
  CHECK(status_of([&] { services.new_order(account, {"b.test"}); }) == 503);
  CHECK(status_of([&] { services.respond(account, order); }) == 503);
  CHECK(services.new_account(key).id == account.id);  // found, which writes nothing
  CHECK_NOTHROW(services.accounts().change_key(account, key.jwk, next.jwk));
  CHECK_NOTHROW(services.authorizations().deactivate(account, order.order.authorizations.front()));
  CHECK_NOTHROW(services.accounts().deactivate(account));
}

}  // namespace
}  // namespace gatehouse
