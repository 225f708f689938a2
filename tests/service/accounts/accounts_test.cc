#include "acme-server/service/accounts/accounts.h"

#include <doctest/doctest.h>

#include <string>
#include <variant>
#include <vector>

#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using testing::rejection_of;
using testing::TestKey;
using testing::TestServices;

const DirectoryId kDefault("default");

TEST_CASE("contacts: one mailto address each, nothing hidden in it") {
  struct Row {
    std::string contact;
    ProblemType type;  // unspecified: accepted
  };

  const Row rows[] = {
      {"mailto:admin@example.org", ProblemType::unspecified},
      {"MAILTO:first.last+tag@sub.example.org", ProblemType::unspecified},
      {"mailto:", ProblemType::invalidContact},
      {"mailto:x", ProblemType::invalidContact},
      {"mailto:@example.org", ProblemType::invalidContact},
      {"mailto:a@", ProblemType::invalidContact},
      {"mailto:a@b@example.org", ProblemType::invalidContact},
      {"mailto:a@example.org?subject=x", ProblemType::invalidContact},
      {"mailto:a@example.org#x", ProblemType::invalidContact},
      {"mailto:a@example.org,b@example.org", ProblemType::invalidContact},
      {"mailto:a@example.org\r\nBcc: b@example.org", ProblemType::invalidContact},
      {"mailto:a b@example.org", ProblemType::invalidContact},
      {"mailto:a%0d%0a@example.org", ProblemType::invalidContact},
      {"mailto:.a@example.org", ProblemType::invalidContact},
      {"mailto:a..b@example.org", ProblemType::invalidContact},
      {"mailto:\xc3\xa4@example.org", ProblemType::invalidContact},
      {"mailto:a@ex\xc3\xa4mple.org", ProblemType::invalidContact},
      {"mailto:a@*.example.org", ProblemType::invalidContact},
      {"mailto:a@" + std::string(400, 'x') + ".org", ProblemType::invalidContact},
      {"admin@example.org", ProblemType::invalidContact},
      {"", ProblemType::invalidContact},
      {"tel:+1234", ProblemType::unsupportedContact},
      {"https://example.org", ProblemType::unsupportedContact},
  };
  for (const Row& row : rows) {
    CAPTURE(row.contact);
    CHECK(rejection_of([&] { service::check_contact(row.contact); }).type == row.type);
  }
}

TEST_CASE("an account is made once per key and directory; later requests change nothing") {
  TestServices services;
  const TestKey key;
  const auto first = services.accounts().find_or_create(
      kDefault, key.jwk, {.contacts = {"mailto:a@example.org"}, .terms_agreed = true});
  CHECK(first.created);
  const auto again = services.accounts().find_or_create(
      kDefault, key.jwk, {.contacts = {"not even an address"}, .only_return_existing = true});
  CHECK_FALSE(again.created);
  CHECK(again.account == first.account);
  const auto elsewhere = services.accounts().find_or_create(DirectoryId("other"), key.jwk, {});
  CHECK(elsewhere.created);
  CHECK(elsewhere.account.id != first.account.id);
  CHECK_FALSE(services.accounts().get(DirectoryId("other"), first.account.id));
}

TEST_CASE("onlyReturnExisting never creates") {
  TestServices services;
  const TestKey key;
  CHECK(rejection_of([&] {
          services.accounts().find_or_create(kDefault, key.jwk, {.only_return_existing = true});
        }).type == ProblemType::accountDoesNotExist);
  CHECK(services.accounts().find_or_create(kDefault, key.jwk, {}).created);
}

TEST_CASE("terms must be agreed to where there are any") {
  service::Directory directory = TestServices::default_directory();
  directory.terms_of_service = "https://ca.test/terms";
  TestServices services({.directory = directory});
  const TestKey key;
  CHECK(rejection_of([&] { services.accounts().find_or_create(kDefault, key.jwk, {}); }).type ==
        ProblemType::userActionRequired);
  CHECK(services.accounts()
            .find_or_create(kDefault, key.jwk, {.terms_agreed = true})
            .account.terms_agreed == "https://ca.test/terms");
}

TEST_CASE("a key that policy refuses, that is blocked or that a certificate has is no account's") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  const TestKey certified, blocked;
  services.orders().finalize(account, ready.order.id, certified.csr({"a.test"}));
  services.store->write(
      [&](store::Tx& tx) { tx.blocked_keys().add(blocked.sha256, tx.now(), "test"); });
  for (const TestKey* key : {&certified, &blocked}) {
    CHECK(rejection_of([&] { services.new_account(*key); }).type == ProblemType::badPublicKey);
    CHECK(rejection_of([&] { services.new_account(*key, "other"); }).type ==
          ProblemType::badPublicKey);
  }
  service::Directory directory = TestServices::default_directory();
  directory.account_keys.allowed = {crypto::KeyType::rsa};
  services.use(directory);
  CHECK(rejection_of([&] { services.new_account(); }).type == ProblemType::badPublicKey);
}

TEST_CASE("deactivation fails what is not being issued, and the account is done for (401)") {
  TestServices services;
  const TestKey key;
  const Account account = services.new_account(key);
  const auto pending = services.new_order(account, {"p.test"});
  const auto ready = services.ready_order(account, {"r.test"});
  const auto prepared = services.prepared_order(account, {"q.test"});
  const Account other = services.new_account();
  const auto untouched = services.new_order(other, {"o.test"});
  CHECK(services.accounts().deactivate(account).status == AccountStatus::deactivated);
  for (const auto& view : {pending, ready, prepared}) {
    const auto now = services.show(account, view);
    CHECK(now.status == OrderStatus::invalid);
    CHECK(now.order.error->type == ProblemType::unauthorized);
  }
  services.run_jobs();
  CHECK(services.ca->calls().empty());
  CHECK(services.show(other, untouched).status == OrderStatus::pending);
  const auto rejected = [&](const Problem& problem) {
    return problem.type == ProblemType::unauthorized && status_of(problem) == 401;
  };
  CHECK(rejected(rejection_of([&] { services.new_account(key); })));
  CHECK(rejected(rejection_of([&] { services.new_order(account, {"n.test"}); })));
  CHECK(rejected(rejection_of([&] { services.accounts().set_contacts(account, {}); })));
  CHECK(rejected(rejection_of([&] { services.accounts().agree_to_terms(account); })));
  CHECK(rejected(rejection_of([&] { services.accounts().deactivate(account); })));
  CHECK(rejected(
      rejection_of([&] { services.accounts().change_key(account, key.jwk, TestKey().jwk); })));
}

TEST_CASE("deactivation leaves certificates and submitted intents alone") {
  TestServices services;
  const Account account = services.new_account();
  const auto valid = services.processing_order(account, {"v.test"});
  services.run_jobs();
  services.ca->next(testing::ScriptedBackend::Step::pend);
  const auto submitted = services.processing_order(account, {"s.test"});
  services.run_jobs();
  services.accounts().deactivate(account);
  CHECK(services.show(account, valid).status == OrderStatus::valid);
  CHECK(services.show(account, submitted).status == OrderStatus::processing);
  services.advance(std::chrono::seconds(30));
  services.run_jobs();
  CHECK(services.show(account, submitted).status == OrderStatus::valid);
}

TEST_CASE("contacts are replaced, and limited in number") {
  TestServices services;
  const Account account = services.new_account();
  const std::vector<std::string> two = {"mailto:a@example.org", "mailto:b@example.org"};
  CHECK(services.accounts().set_contacts(account, two).contacts == two);
  CHECK(services.accounts().set_contacts(account, {}).contacts.empty());
  CHECK(rejection_of([&] {
          services.accounts().set_contacts(account, std::vector(11, two.front()));
        }).type == ProblemType::invalidContact);
}

TEST_CASE(
    "key rollover: one compare-and-set from the old key; a key in use answers with its account") {
  TestServices services;
  const TestKey old_key, new_key, taken, blocked;
  const Account account = services.new_account(old_key);
  const Account holder = services.new_account(taken);
  services.store->write(
      [&](store::Tx& tx) { tx.blocked_keys().add(blocked.sha256, tx.now(), "test"); });
  const auto change = [&](const TestKey& from, const TestKey& to) {
    return services.accounts().change_key(account, from.jwk, to.jwk);
  };
  CHECK(std::get<AccountId>(change(old_key, taken)) == holder.id);
  CHECK(std::get<AccountId>(change(old_key, old_key)) == account.id);
  CHECK(rejection_of([&] { change(taken, new_key); }).type == ProblemType::malformed);
  CHECK(rejection_of([&] { change(old_key, blocked); }).type == ProblemType::badPublicKey);
  const Account changed = std::get<Account>(change(old_key, new_key));
  CHECK(changed.key_thumbprint == crypto::thumbprint(new_key.jwk));
  CHECK(changed.key_spki_sha256 == new_key.sha256);
  CHECK(services.new_account(new_key).id == account.id);
  CHECK(rejection_of([&] { change(old_key, TestKey()); }).type == ProblemType::malformed);
  // The old key is free again, for another account.
  CHECK(services.new_account(old_key).id != account.id);
}

}  // namespace
}  // namespace gatehouse
