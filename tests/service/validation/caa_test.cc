// CAA in the life of an order: with validation, and again before the intent is submitted.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "acme-server/service/validation/caa_checks.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using net::CaaRecord;
using net::DnsError;
using net::RecordType;
using std::chrono::hours;
using std::chrono::seconds;
using testing::TestKey;
using testing::TestServices;

const CaaRecord kOurs{.flags = 0, .tag = "issue", .value = "ca.test"};
const CaaRecord kOthers{.flags = 0, .tag = "issue", .value = "other.test"};

std::vector<store::AuditRow> checks(TestServices& services) {
  std::vector<store::AuditRow> rows =
      services.store->read([](store::Tx& tx) { return tx.audit().list(0, 10'000); });
  std::erase_if(rows, [](const store::AuditRow& row) { return row.event.kind != "caa.checked"; });
  return rows;
}

std::vector<std::string> names(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back("n" + std::to_string(i) + ".test");
  return all;
}

Authorization authorization_of(TestServices& services, const Account& account,
                               const service::OrderView& order, std::size_t index = 0) {
  return services.authorizations().get(account, order.order.authorizations.at(index)).value();
}

// A finalized order, validated so long ago that its job asks about CAA again.
service::OrderView late_order(TestServices& services, const Account& account,
                              const std::vector<std::string>& all) {
  const auto ordered = services.new_order(account, all);
  services.respond(account, ordered);
  services.run_jobs(4 * static_cast<int>(all.size()));
  const auto ready = services.show(account, ordered);
  REQUIRE(ready.status == OrderStatus::ready);
  services.advance(service::kCaaAge + seconds(1));
  return services.orders().finalize(account, ready.order.id, TestKey().csr(all)).value();
}

TEST_CASE("a proven name that CAA forbids is invalid at once, with the caa problem") {
  TestServices services;
  services.resolver.add_caa("test", kOthers);
  const Account account = services.new_account();
  const auto order = services.new_order(account, {"a.test"});
  services.respond(account, order);
  services.run_jobs();
  const Authorization after = authorization_of(services, account, order);
  CHECK(after.status == AuthorizationStatus::invalid);
  CHECK_FALSE(after.caa_checked);
  const Challenge& challenge = after.challenges.front();
  CHECK(challenge.status == ChallengeStatus::invalid);
  CHECK(challenge.attempts == 1);
  REQUIRE(challenge.error);
  CHECK(challenge.error->type == ProblemType::caa);
  CHECK(status_of(*challenge.error) == 403);
  CHECK(challenge.error->detail ==
        "CAA for a.test: test has the CAA record 0 issue \"other.test\", which does not permit "
        "this CA. Add the record: test. CAA 0 issue \"ca.test\".");
  CHECK(services.show(account, order).status == OrderStatus::invalid);
  const auto rows = checks(services);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].event.authorization == after.id);
  CHECK(rows[0].event.details["when"] == "validation");
  CHECK(rows[0].event.details["verdict"] == "forbidden");
  CHECK(rows[0].event.details["identifier"] == "a.test");
  CHECK(rows[0].event.details["trail"].size() == 3);
  CHECK(rows[0].event.details["problem"]["detail"] == challenge.error->detail);
}

TEST_CASE("a name that is not proven is not asked about") {
  TestServices services;
  services.http01->always(Problem{.type = ProblemType::connection, .detail = "Nobody listens."});
  const Account account = services.new_account();
  services.respond(account, services.new_order(account, {"a.test"}));
  services.run_jobs();
  CHECK(services.resolver.questions().empty());
  CHECK(checks(services).empty());
}

TEST_CASE("what nobody can tell is a failed try of type dns, and another one follows") {
  TestServices services;
  services.resolver.fail("a.test", RecordType::CAA, DnsError::Kind::servfail);
  const Account account = services.new_account();
  const auto order = services.new_order(account, {"a.test"});
  services.respond(account, order);
  services.run_jobs();
  CHECK(authorization_of(services, account, order).challenges.front().error->type ==
        ProblemType::dns);
  CHECK(services.show(account, order).status == OrderStatus::pending);
  CHECK(checks(services).front().event.details["verdict"] == "unknown");
  SUBCASE("the answer comes") {
    services.resolver.clear();
    services.advance(seconds(5));
    services.run_jobs();
    CHECK(services.show(account, order).status == OrderStatus::ready);
    CHECK(authorization_of(services, account, order).caa_checked == services.store.clock.now());
  }
  SUBCASE("it does not") {
    for (int i = 0; i < 3; ++i) {
      services.advance(seconds(5));
      services.run_jobs();
    }
    CHECK(authorization_of(services, account, order).status == AuthorizationStatus::invalid);
    CHECK(checks(services).size() == 3);
  }
}

TEST_CASE(
    "a check counts for 8 hours: at 7:59:59 nobody is asked again, at 8:00:01 every name is") {
  struct Row {
    seconds age;
    bool asked;
  };

  const Row rows[] = {{seconds(0), false},
                      {hours(8) - seconds(1), false},
                      {hours(8), false},
                      {hours(8) + seconds(1), true},
                      {hours(24 * 6), true}};
  for (const Row& row : rows) {
    CAPTURE(row.age.count());
    TestServices services;
    const Account account = services.new_account();
    const auto ready = services.ready_order(account, {"a.test", "*.b.test"});
    const Instant validated = services.store.clock.now();
    const std::size_t before = services.resolver.questions().size();
    CHECK(before == 4);
    services.advance(row.age);
    services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test", "*.b.test"}));
    services.run_jobs();
    CHECK(services.show(account, ready).status == OrderStatus::valid);
    CHECK(services.resolver.questions().size() == (row.asked ? 2 * before : before));
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(authorization_of(services, account, ready, i).caa_checked ==
            (row.asked ? validated + row.age : validated));
    }
    CHECK(std::ranges::count(services.audit_kinds(ready.order.id), "caa.checked") ==
          (row.asked ? 2 : 0));
  }
}

TEST_CASE("a check from the future does not count") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  services.store.clock.advance(-hours(1));
  services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"}));
  services.run_jobs();
  CHECK(services.show(account, ready).status == OrderStatus::valid);
  CHECK(services.resolver.questions().size() == 4);
}

TEST_CASE("every name of an order is asked about again: whichever forbids, nothing is signed") {
  for (const std::size_t count : {1U, 2U, 7U, 100U}) {
    for (std::size_t denier = 0; denier < count; denier += count == 100 ? 33 : 1) {
      CAPTURE(count);
      CAPTURE(denier);
      TestServices services;
      const Account account = services.new_account();
      const auto all = names(count);
      const auto order = late_order(services, account, all);
      services.resolver.add_caa(all[denier], kOthers);
      services.run_jobs();
      const auto view = services.show(account, order);
      CHECK(view.status == OrderStatus::invalid);
      REQUIRE(view.order.error);
      CHECK(view.order.error->type == ProblemType::caa);
      CHECK(view.order.error->detail.starts_with("CAA for " + all[denier] + ":"));
      CHECK(view.order.error->subproblems.empty());
      CHECK(services.ca->signed_certificates() == 0);
      CHECK(services.issuances(order.order.id).front().state == store::IssuanceState::abandoned);
      CHECK_FALSE(services.has_job(order.order.id));
      const auto kinds = services.audit_kinds(order.order.id);
      CHECK(kinds.back() == "order.invalid");
      CHECK(static_cast<std::size_t>(std::ranges::count(kinds, "caa.checked")) == count);
      // What it was proven by still holds; the next order will be asked about again.
      CHECK(authorization_of(services, account, order, denier).status ==
            AuthorizationStatus::valid);
    }
  }
}

TEST_CASE("several names that CAA forbids are one problem with a subproblem each") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = late_order(services, account, {"a.test", "*.b.test", "c.test", "d.test"});
  services.resolver.add_caa("a.test", kOthers);
  services.resolver.add_caa("b.test", {.flags = 0, .tag = "issuewild", .value = ";"});
  services.resolver.fail("d.test", RecordType::CAA, DnsError::Kind::timeout);
  services.run_jobs();
  const auto view = services.show(account, order);
  REQUIRE(view.order.error);
  CHECK(view.order.error->type == ProblemType::caa);
  const auto& subproblems = view.order.error->subproblems;
  REQUIRE(subproblems.size() == 2);
  CHECK(subproblems[0].identifier == Identifier{IdentifierType::dns, "a.test"});
  CHECK(subproblems[1].identifier == Identifier{IdentifierType::dns, "*.b.test"});
  CHECK(subproblems[1].type == ProblemType::caa);
}

TEST_CASE(
    "what nobody can tell before issuance is tried again, then the order fails with type dns") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = late_order(services, account, {"a.test", "b.test"});
  services.resolver.fail("b.test", RecordType::CAA, DnsError::Kind::timeout);
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::processing);
  CHECK(services.ca->calls().empty());
  SUBCASE("the answer comes") {
    services.advance(seconds(10));
    services.run_jobs();
    services.resolver.clear();
    const std::size_t before = services.resolver.questions().size();
    services.advance(seconds(10));
    services.run_jobs();
    CHECK(services.show(account, order).status == OrderStatus::valid);
    // a.test was permitted the first time.
    CHECK(services.resolver.questions().size() - before == 2);
  }
  SUBCASE("it does not") {
    int runs = 1;
    while (services.has_job(order.order.id) && runs < 20) {
      services.advance(seconds(120));
      services.run_jobs();
      ++runs;
    }
    CHECK(runs == 5);
    const auto view = services.show(account, order);
    CHECK(view.status == OrderStatus::invalid);
    REQUIRE(view.order.error);
    CHECK(view.order.error->type == ProblemType::dns);
    CHECK(view.order.error->detail.starts_with("CAA for b.test:"));
    CHECK(services.ca->signed_certificates() == 0);
  }
}

TEST_CASE("no transaction is open while resolvers are asked") {
  TestServices services;
  int asked = 0;
  services.resolver.script("a.test", [&](RecordType) -> testing::FakeResolver::Answer {
    ++asked;
    services.store->write([&](store::Tx& tx) { tx.state().set("asked", std::to_string(asked)); });
    return testing::FakeResolver::error(DnsError::Kind::no_data, "none");
  });
  const Account account = services.new_account();
  const auto order = late_order(services, account, {"a.test"});
  services.run_jobs();
  CHECK(asked == 2);
  CHECK(services.show(account, order).status == OrderStatus::valid);
}

TEST_CASE("an account deactivated while resolvers are asked gets no certificate") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = late_order(services, account, {"a.test"});
  services.resolver.script("a.test", [&](RecordType) -> testing::FakeResolver::Answer {
    services.accounts().deactivate(account);
    return testing::FakeResolver::error(DnsError::Kind::no_data, "none");
  });
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);
  CHECK_FALSE(services.has_job(order.order.id));
}

TEST_CASE("accounturi is this account, by today's URL and by those before a move") {
  struct Row {
    std::string prefix;
    bool permitted;
  };

  for (const Row& row :
       {Row{"https://acme.test/acme/default/account/", true},
        Row{"https://old.test/acme/default/account/", true}, Row{"https://older.test/a/", false}}) {
    CAPTURE(row.prefix);
    service::Directory directory = TestServices::default_directory();
    directory.previous_account_urls = {"https://old.test/acme/default/account/"};
    TestServices services({.directory = directory});
    const Account account = services.new_account();
    services.resolver.add_caa("test",
                              {.flags = 0,
                               .tag = "issue",
                               .value = "ca.test; accounturi=" + row.prefix + account.id.str()});
    CHECK((services.ready_order(account, {"a.test"}).status == OrderStatus::ready) ==
          row.permitted);
    CHECK(services.ready_order(services.new_account(), {"a.test"}).status == OrderStatus::invalid);
  }
}

TEST_CASE("validationmethods is what the name was proven by, also of a reused authorization") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = late_order(services, account, {"a.test"});  // by http-01
  services.resolver.add_caa(
      "test", {.flags = 0, .tag = "issue", .value = "ca.test; validationmethods=dns-01"});
  services.run_jobs();
  CHECK(services.show(account, order).order.error->type == ProblemType::caa);
  CHECK(services.ready_order(account, {"*.b.test"}).status == OrderStatus::ready);  // by dns-01
}

TEST_CASE("a profile with CAA off asks nobody; switched on, issuance asks for what was not asked") {
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").caa = CaaMode::off;
  TestServices services({.directory = directory});
  services.resolver.add_caa("test", kOthers);
  const Account account = services.new_account();
  const auto first = services.processing_order(account, {"a.test"});
  services.run_jobs();
  CHECK(services.show(account, first).status == OrderStatus::valid);
  CHECK(services.resolver.questions().empty());
  CHECK_FALSE(authorization_of(services, account, first).caa_checked);

  const auto second = services.prepared_order(account, {"a.test"});
  services.use(TestServices::default_directory());
  services.run_jobs();
  CHECK(services.show(account, second).order.error->type == ProblemType::caa);
}

TEST_CASE("addresses have no CAA records") {
  TestServices services;
  const Account account = services.new_account();
  service::Orders::NewOrder request;
  request.identifiers = {{.type = "ip", .value = "192.0.2.1"}};
  const auto order = services.orders().create(account, request);
  services.respond(account, order);
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::ready);
  CHECK(services.resolver.questions().empty());
}

TEST_CASE("after a restart a check still counts") {
  TestServices services;
  services.resolver.add_caa("a.test", kOurs);
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  const std::size_t before = services.resolver.questions().size();
  services.restart();
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
  CHECK(services.resolver.questions().size() == before);
}

}  // namespace
}  // namespace gatehouse
