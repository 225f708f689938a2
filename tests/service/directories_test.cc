// Whose rules count: those of the directory that an order, an authorization or an account is in.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "tests/support/test_services.h"

namespace gatehouse::service {
namespace {

using testing::rejection_of;
using testing::TestKey;
using testing::TestServices;

const Problem kRefused = {.type = ProblemType::connection, .detail = "connection refused"};

// `change` made to the rules of "staging" alone.
void change_staging(TestServices& services, const std::function<void(Directory&)>& change) {
  Directory staging = TestServices::default_directory();
  staging.name = DirectoryId("staging");
  change(staging);
  services.use(std::move(staging));
}

// The last part of the problem type that `call` rejects with; "" when it rejects nothing.
template <class Call>
std::string refusal_of(Call&& call) {
  const Problem problem = rejection_of(std::forward<Call>(call));
  if (problem.type == ProblemType::unspecified) return "";
  const std::string urn(urn_of(problem.type));
  return urn.substr(urn.rfind(':') + 1);
}

// Each row changes the rules of "staging" and says what an account then meets.
TEST_CASE("every rule is the directory's own") {
  struct Row {
    std::string what;
    std::function<void(Directory&)> change;
    std::function<std::string(TestServices&, const Account&)> outcome;
    std::string in_default, in_staging;
  };

  const auto second_order = [](TestServices& services, const Account& account) {
    services.new_order(account, {"a.test"});
    return refusal_of([&] { services.new_order(account, {"b.test"}); });
  };
  const auto order_status = [](TestServices& services, const Account& account) {
    return std::string(to_string(services.ready_order(account, {"a.test"}).status));
  };
  const auto failing_once = [order_status](TestServices& services, const Account& account) {
    services.http01->always(kRefused);
    return order_status(services, account);
  };
  const auto finalize = [](TestServices& services, const Account& account) {
    const OrderView order = services.ready_order(account, {"a.test"});
    return refusal_of(
        [&] { services.orders().finalize(account, order.order.id, TestKey().csr({"a.test"})); });
  };
  const auto challenges = [](TestServices& services, const Account& account) {
    const OrderView order = services.new_order(account, {"a.test"});
    std::string types;
    const auto authorization =
        services.authorizations().get(account, order.order.authorizations[0]).value();
    for (const Challenge& challenge : authorization.challenges) {
      types += challenge.type + " ";
    }
    return types;
  };
  const auto contacts = [](TestServices& services, const Account& account) {
    return refusal_of([&] { services.accounts().set_contacts(account, {"mailto:a@b.test"}); });
  };
  const auto contacts_twice = [contacts](TestServices& services, const Account& account) {
    return contacts(services, account) + contacts(services, account);
  };
  const auto rollover = [](TestServices& services, const Account& account) {
    const crypto::Jwk old_key = crypto::parse_jwk(parse_json(account.key_jwk)).value();
    return refusal_of([&] { services.accounts().change_key(account, old_key, TestKey().jwk); });
  };
  const Row rows[] = {
      {"orders pending", [](Directory& d) { d.max_orders_pending = 1; }, second_order, "",
       "rateLimited"},
      {"names pending", [](Directory& d) { d.max_names_pending = 1; }, second_order, "",
       "rateLimited"},
      {"changes of an account", [](Directory& d) { d.max_account_changes = 1; }, contacts_twice, "",
       "rateLimited"},
      {"validation attempts", [](Directory& d) { d.validation_attempts = 1; }, failing_once,
       "pending", "invalid"},
      {"CAA identities", [](Directory& d) { d.caa_identities = {"staging.test"}; },
       [order_status](TestServices& services, const Account& account) {
         services.resolver.add_caa("test", {.flags = 0, .tag = "issue", .value = "staging.test"});
         return order_status(services, account);
       },
       "invalid", "ready"},
      {"certificate keys",
       [](Directory& d) { d.certificate_keys.allowed = {crypto::KeyType::rsa}; }, finalize, "",
       "badCSR"},
      {"account keys", [](Directory& d) { d.account_keys.allowed = {crypto::KeyType::rsa}; },
       rollover, "", "badPublicKey"},
      {"challenge types",
       [](Directory& d) { d.profiles.at("default").challenge_types = {"dns-01"}; }, challenges,
       "http-01 dns-01 ", "dns-01 "},
      {"contacts", [](Directory& d) { d.max_contacts = 0; }, contacts, "", "invalidContact"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    for (const bool staging : {false, true}) {
      CAPTURE(staging);
      TestServices services;
      const Account account = services.new_account(TestKey(), staging ? "staging" : "default");
      change_staging(services, row.change);
      CHECK(row.outcome(services, account) == (staging ? row.in_staging : row.in_default));
    }
  }
}

TEST_CASE("terms are agreed to and asked for by directory") {
  TestServices services;
  const Account here = services.new_account();
  const Account there = services.new_account(TestKey(), "staging");
  change_staging(services, [](Directory& d) { d.terms_of_service = "https://ca.test/terms"; });
  services.new_order(here, {"a.test"});
  CHECK(rejection_of([&] { services.new_order(there, {"a.test"}); }).type ==
        ProblemType::userActionRequired);
  const Account agreed = services.accounts().agree_to_terms(there);
  CHECK(agreed.terms_agreed == "https://ca.test/terms");
  CHECK_NOTHROW(services.new_order(agreed, {"a.test"}));
}

TEST_CASE("validations running are counted against the directory's limit") {
  for (const bool staging : {false, true}) {
    CAPTURE(staging);
    TestServices services;
    const Account account = services.new_account(TestKey(), staging ? "staging" : "default");
    change_staging(services, [](Directory& d) { d.max_validations_running = 1; });
    services.http01->always(kRefused);
    services.dns01->always(kRefused);
    services.ready_order(account, {"a.test"});  // its challenge waits for the next try
    const Problem problem =
        rejection_of([&] { services.respond(account, services.new_order(account, {"b.test"})); });
    CHECK((problem.type == ProblemType::rateLimited) == staging);
  }
}

TEST_CASE("an intent is held against the rules of its order's directory") {
  const std::pair<std::string, std::function<void(Directory&)>> changes[] = {
      {"profile",
       [](Directory& d) { d.profiles.at("default").validity = std::chrono::hours(24 * 30); }},
      {"key policy", [](Directory& d) { d.certificate_keys.rsa_min_bits = 3072; }},
  };
  for (const auto& [what, change] : changes) {
    CAPTURE(what);
    TestServices services;
    const Account here = services.new_account();
    const Account there = services.new_account(TestKey(), "staging");
    const OrderView kept = services.prepared_order(here, {"a.test"});
    const OrderView made_anew = services.prepared_order(there, {"a.test"});
    change_staging(services, change);
    services.run_jobs();
    CHECK(services.show(here, kept).status == OrderStatus::valid);
    CHECK(services.show(there, made_anew).status == OrderStatus::valid);
    CHECK(services.issuances(kept.order.id).size() == 1);
    CHECK(services.issuances(made_anew.order.id).size() == 2);
  }
}

TEST_CASE("what is unfinished in a directory that is gone ends, and nothing is issued in it") {
  TestServices services;
  const Account account = services.new_account(TestKey(), "staging");
  const OrderView processing = services.prepared_order(account, {"a.test"});
  const OrderView pending = services.new_order(account, {"b.test"});
  services.respond(account, pending);
  Policy without = *services.policy.get();
  without.directories.erase(DirectoryId("staging"));
  services.policy.replace(std::move(without));
  services.run_jobs();
  CHECK(services.show(account, processing).status == OrderStatus::invalid);
  CHECK(services.show(account, pending).status == OrderStatus::invalid);
  CHECK(services.ca->calls().empty());
  CHECK(rejection_of([&] { services.new_order(account, {"c.test"}); }).type ==
        ProblemType::malformed);
}

}  // namespace
}  // namespace gatehouse::service
