#include "acme-server/service/orders/orders.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::kNoon;
using testing::rejection_of;
using testing::TestServices;

TEST_CASE("an order has one authorization per identifier, each offering what can prove it") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.new_order(account, {"A.test", "*.a.test", "a.test", "b.test"});
  CHECK(view.status == OrderStatus::pending);
  CHECK(view.order.identifiers == std::vector<Identifier>{{IdentifierType::dns, "a.test"},
                                                          {IdentifierType::dns, "*.a.test"},
                                                          {IdentifierType::dns, "b.test"}});
  CHECK(view.order.expires == kNoon + Profile{}.order_lifetime);
  REQUIRE(view.order.authorizations.size() == 3);
  const auto types = [&](std::size_t index) {
    std::vector<std::string> found;
    const auto authorization =
        services.authorizations().get(account, view.order.authorizations[index]);
    CHECK(authorization->identifier == view.order.identifiers[index]);
    for (const Challenge& challenge : authorization->challenges) found.push_back(challenge.type);
    return found;
  };
  CHECK(types(0) == std::vector<std::string>{"http-01", "dns-01"});
  CHECK(types(1) == std::vector<std::string>{"dns-01"});
  CHECK(types(2) == std::vector<std::string>{"http-01", "dns-01"});
}

TEST_CASE("an identifier that no enabled challenge type can prove is rejected, naming the types") {
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").challenge_types = {"http-01"};
  TestServices services({.directory = directory});
  const Account account = services.new_account();
  const Problem problem =
      rejection_of([&] { services.new_order(account, {"a.test", "*.a.test"}); });
  CHECK(problem.type == ProblemType::rejectedIdentifier);
  REQUIRE(problem.subproblems.size() == 1);
  CHECK(problem.subproblems.front().identifier == Identifier{IdentifierType::dns, "*.a.test"});
  CHECK(problem.subproblems.front().detail.find("http-01") != std::string::npos);
  CHECK(services.orders().list(account, {}).orders.empty());
}

TEST_CASE("each bad identifier has its subproblem; different types make a compound") {
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").identifiers.denied_dns = {"denied.test"};
  TestServices services({.directory = directory});
  const Account account = services.new_account();

  struct Row {
    std::vector<service::Orders::RequestedIdentifier> identifiers;
    ProblemType type;
    std::vector<ProblemType> subproblems;
  };

  const Row rows[] = {
      {{}, ProblemType::malformed, {}},
      {{{"email", "a@a.test"}},
       ProblemType::unsupportedIdentifier,
       {ProblemType::unsupportedIdentifier}},
      {{{"dns", "a_b.test"}}, ProblemType::malformed, {ProblemType::malformed}},
      {{{"dns", "x.denied.test"}, {"dns", "a.test"}},
       ProblemType::rejectedIdentifier,
       {ProblemType::rejectedIdentifier}},
      {{{"dns", "x.denied.test"}, {"dns", "y.denied.test"}},
       ProblemType::rejectedIdentifier,
       {ProblemType::rejectedIdentifier, ProblemType::rejectedIdentifier}},
      {{{"dns", "x.denied.test"}, {"dns", "bad..test"}, {"email", "a@a.test"}},
       ProblemType::compound,
       {ProblemType::rejectedIdentifier, ProblemType::malformed,
        ProblemType::unsupportedIdentifier}},
  };
  for (const Row& row : rows) {
    const Problem problem =
        rejection_of([&] { services.orders().create(account, {.identifiers = row.identifiers}); });
    CHECK(problem.type == row.type);
    std::vector<ProblemType> types;
    for (const Subproblem& each : problem.subproblems) types.push_back(each.type);
    CHECK(types == row.subproblems);
  }
}

TEST_CASE("an order has at most as many identifiers as its profile says, repeats not counted") {
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").max_identifiers = 2;
  TestServices services({.directory = directory});
  const Account account = services.new_account();
  CHECK(services.new_order(account, {"a.test", "b.test", "a.test"}).order.identifiers.size() == 2);
  CHECK(rejection_of([&] { services.new_order(account, {"a.test", "b.test", "c.test"}); }).type ==
        ProblemType::malformed);
}

TEST_CASE("notBefore and notAfter are honoured exactly or refused") {
  const seconds validity = Profile{}.validity;

  struct Row {
    std::string name;
    std::optional<Instant> not_before, not_after;
    bool accepted;
  };

  const Row rows[] = {
      {"none", {}, {}, true},
      {"within", kNoon + hours(1), kNoon + hours(2), true},
      {"as long as allowed", kNoon, kNoon + validity, true},
      {"as long as allowed, from now", {}, kNoon + validity, true},
      {"as long as allowed, from later", kNoon + hours(5), kNoon + hours(5) + validity, true},
      {"a second longer", kNoon, kNoon + validity + seconds(1), false},
      {"a second longer, from now", {}, kNoon + validity + seconds(1), false},
      {"reversed", kNoon + hours(2), kNoon + hours(1), false},
      {"ends in the past", {}, kNoon - seconds(1), false},
      {"ends now", {}, kNoon, false},
      {"begins before the backdate", kNoon - hours(2), {}, false},
      {"begins further ahead than it lasts", kNoon + validity, {}, false},
      {"ends too late", {}, kNoon + validity + hours(24), false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TestServices services;
    const Account account = services.new_account();
    service::Orders::NewOrder request{.identifiers = {{"dns", "a.test"}},
                                      .not_before = row.not_before,
                                      .not_after = row.not_after,
                                      .profile = ""};
    const Problem problem = rejection_of([&] {
      const auto view = services.orders().create(account, request);
      CHECK(view.order.not_before == row.not_before);
      CHECK(view.order.not_after == row.not_after);
    });
    CHECK(problem.type == (row.accepted ? ProblemType::unspecified : ProblemType::malformed));
  }
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").client_dates = false;
  TestServices services({.directory = directory});
  CHECK(rejection_of([&] {
          services.orders().create(services.new_account(), {.identifiers = {{"dns", "a.test"}},
                                                            .not_before = {},
                                                            .not_after = kNoon + hours(1),
                                                            .profile = ""});
        }).type == ProblemType::malformed);
}

TEST_CASE("a CA that ends too soon is told before anybody proves a name") {
  TestServices services;
  backends::Issuer issuer = services.ca->issuers()->all.front();
  issuer.root->not_after = kNoon + hours(1) - seconds(1);
  services.ca->set_issuers({issuer});
  const Account account = services.new_account();
  const Problem problem = rejection_of([&] { services.new_order(account, {"a.test"}); });
  CHECK(status_of(problem) == 503);
  CHECK(problem.detail.find("ends at 2026-06-01T12:59:59Z") != std::string::npos);
  CHECK(problem.detail.find("Scripted Root") != std::string::npos);
}

TEST_CASE("an unknown profile is malformed and names those there are") {
  TestServices services;
  const Problem problem = rejection_of([&] {
    services.orders().create(services.new_account(),
                             {.identifiers = {{"dns", "a.test"}}, .profile = "nonsense"});
  });
  CHECK(problem.type == ProblemType::malformed);
  CHECK(problem.detail.find("default") != std::string::npos);
}

TEST_CASE("new terms must be agreed to before the next order") {
  TestServices services;
  Account account = services.new_account();
  service::Directory directory = TestServices::default_directory();
  directory.terms_of_service = "https://ca.test/terms/2";
  services.use(directory);
  const Problem problem = rejection_of([&] { services.new_order(account, {"a.test"}); });
  CHECK(problem.type == ProblemType::userActionRequired);
  CHECK(status_of(problem) == 403);
  CHECK(problem.instance == "https://ca.test/terms/2");
  account = services.accounts().agree_to_terms(account);
  CHECK(services.new_order(account, {"a.test"}).status == OrderStatus::pending);
}

TEST_CASE("an account's open orders are capped; expired and failed ones do not count") {
  service::Directory directory = TestServices::default_directory();
  directory.max_orders_pending = 2;
  TestServices services({.directory = directory});
  const Account account = services.new_account();
  services.new_order(account, {"a.test"});
  services.new_order(account, {"b.test"});
  CHECK(rejection_of([&] { services.new_order(account, {"c.test"}); }).type ==
        ProblemType::rateLimited);
  CHECK(services.new_order(services.new_account(), {"c.test"}).status == OrderStatus::pending);
  services.advance(Profile{}.order_lifetime);
  CHECK(services.new_order(account, {"c.test"}).status == OrderStatus::pending);

  // One that has failed makes room at once, as does one whose authorization is given up.
  services.http01->always(Problem{.type = ProblemType::connection, .detail = "refused"});
  for (int i = 0; i < 5; ++i) {
    const auto broken = services.new_order(account, {"broken.test"});
    services.respond(account, broken);
    for (int tries = 0; tries < 5; ++tries) {
      services.run_jobs();
      services.advance(std::chrono::minutes(1));
    }
    REQUIRE(services.show(account, broken).status == OrderStatus::invalid);
  }
  const auto last = services.new_order(account, {"d.test"});
  CHECK(rejection_of([&] { services.new_order(account, {"e.test"}); }).type ==
        ProblemType::rateLimited);
  services.authorizations().deactivate(account, last.order.authorizations.front());
  CHECK(services.new_order(account, {"e.test"}).status == OrderStatus::pending);
}

TEST_CASE(
    "a valid authorization serves the next order of the same account and profile, and no other") {
  TestServices services;
  const Account account = services.new_account();
  const auto first = services.ready_order(account, {"a.test"});
  const auto second = services.new_order(account, {"a.test", "b.test"});
  CHECK(second.order.authorizations.front() == first.order.authorizations.front());
  CHECK(services.new_order(account, {"a.test"}).status == OrderStatus::ready);
  CHECK(services.new_order(account, {"*.a.test"}).status == OrderStatus::pending);
  CHECK(services.new_order(services.new_account(), {"a.test"}).status == OrderStatus::pending);
  service::Directory directory = TestServices::default_directory();
  directory.profiles["short"] = directory.profiles.at("default");
  directory.profiles["short"].name = "short";
  services.use(directory);
  CHECK(services.orders()
            .create(account, {.identifiers = {{"dns", "a.test"}}, .profile = "short"})
            .status == OrderStatus::pending);
  directory.profiles.at("default").reuse_authorizations = false;
  services.use(directory);
  CHECK(services.new_order(account, {"a.test"}).status == OrderStatus::pending);
}

TEST_CASE("an order does not outlive the authorizations it reuses") {
  TestServices services;
  const Account account = services.new_account();
  const auto first = services.ready_order(account, {"a.test"});
  const Instant ends =
      services.authorizations().get(account, first.order.authorizations.front())->expires;
  services.advance(hours(24 * 5));
  const auto second = services.new_order(account, {"a.test"});
  CHECK(second.status == OrderStatus::ready);
  CHECK(second.order.expires == ends);
  services.advance(hours(24 * 4) + seconds(1));  // less than a day is left of it
  CHECK(services.new_order(account, {"a.test"}).status == OrderStatus::pending);
}

TEST_CASE("a deactivated authorization ends its order and is never reused") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  const AuthorizationId id = ready.order.authorizations.front();
  CHECK(services.authorizations().deactivate(account, id)->status ==
        AuthorizationStatus::deactivated);
  CHECK(services.authorizations().deactivate(account, id)->status ==
        AuthorizationStatus::deactivated);
  CHECK(services.show(account, ready).status == OrderStatus::invalid);
  CHECK(services.new_order(account, {"a.test"}).status == OrderStatus::pending);
  CHECK_FALSE(services.authorizations().deactivate(services.new_account(), id));
}

TEST_CASE("what has ended cannot be deactivated") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.new_order(account, {"a.test"});
  services.advance(hours(24 * 8));
  const AuthorizationId id = order.order.authorizations.front();
  CHECK(services.authorizations().get(account, id)->status == AuthorizationStatus::expired);
  CHECK(rejection_of([&] { services.authorizations().deactivate(account, id); }).type ==
        ProblemType::malformed);
}

TEST_CASE("an account lists its own orders, a page at a time") {
  TestServices services;
  const Account account = services.new_account();
  std::vector<OrderId> made;
  for (int i = 0; i < 205; ++i) made.push_back(services.new_order(account, {"a.test"}).order.id);
  services.new_order(services.new_account(), {"a.test"});
  std::vector<OrderId> listed;
  std::optional<OrderId> after;
  int pages = 0;
  do {
    const service::Orders::Page page = services.orders().list(account, after);
    listed.insert(listed.end(), page.orders.begin(), page.orders.end());
    after = page.next;
    ++pages;
  } while (after);
  CHECK(pages == 3);
  std::ranges::sort(made);
  std::ranges::sort(listed);
  CHECK(listed == made);
}

TEST_CASE("an account's names that wait for their proof are limited over all its orders") {
  service::Directory directory = TestServices::default_directory();
  directory.max_names_pending = 4;
  TestServices services({.directory = directory});
  const Account account = services.new_account();
  services.ready_order(account, {"proven.test"});
  const auto first = services.new_order(account, {"a.test", "b.test", "c.test"});
  const Problem refused = rejection_of([&] { services.new_order(account, {"d.test", "e.test"}); });
  CHECK(refused.type == ProblemType::rateLimited);
  CHECK(refused.retry_after.has_value());
  // Names that need no proof any more do not count, nor do another account's.
  CHECK_NOTHROW(services.new_order(account, {"d.test", "proven.test"}));
  CHECK_NOTHROW(services.new_order(account, {"proven.test"}));
  CHECK(rejection_of([&] { services.new_order(account, {"e.test"}); }).type ==
        ProblemType::rateLimited);
  CHECK_NOTHROW(services.new_order(services.new_account(), {"e.test"}));
  services.authorizations().deactivate(account, first.order.authorizations.front());
  CHECK_NOTHROW(services.new_order(account, {"e.test"}));
  services.advance(Profile{}.pending_authorization_lifetime);
  CHECK_NOTHROW(services.new_order(account, {"1.test", "2.test", "3.test", "4.test"}));
}

}  // namespace
}  // namespace gatehouse
