#include <doctest/doctest.h>

#include "acme-server/base/check.h"
#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

const DirectoryId kOther("other");

void account_comes_back(TestStore& store) {
  Account account = sample_account("a");
  account.terms_agreed = "https://ca.test/terms";
  REQUIRE(store->write([&](store::Tx& tx) { return tx.accounts().insert(account); }));
  store->read([&](store::Tx& tx) {
    CHECK(tx.accounts().of(kDirectory, account.id) == account);
    CHECK(tx.accounts().by_thumbprint(kDirectory, account.key_thumbprint) == account);
    CHECK(tx.accounts().get(account.id) == account);
    CHECK(tx.accounts().any_has_key(account.key_spki_sha256));
    CHECK_FALSE(tx.accounts().any_has_key("spki-of-nobody"));
  });
}

void accounts_are_bound_to_directories(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    store::Accounts accounts = tx.accounts();
    REQUIRE(accounts.insert(account));
    CHECK_FALSE(accounts.of(kOther, account.id));
    CHECK_FALSE(accounts.by_thumbprint(kOther, account.key_thumbprint));
    CHECK_FALSE(accounts.set_contacts(kOther, account.id, {"mailto:evil@example.test"}));
    CHECK_FALSE(accounts.set_terms_agreed(kOther, account.id, "https://evil.test"));
    CHECK_FALSE(accounts.deactivate(kOther, account.id));
    CHECK_FALSE(accounts.change_key(kOther, account.id, account.key_thumbprint, "t", "j", "s"));
    CHECK(accounts.get(account.id) == account);
  });
}

void key_is_unique_in_its_directory(TestStore& store) {
  const Account account = sample_account("a");
  Account same_key = sample_account("a");
  same_key.id = AccountId("account-second");
  Account elsewhere = same_key;
  elsewhere.directory = kOther;
  store->write([&](store::Tx& tx) {
    CHECK(tx.accounts().insert(account));
    CHECK_FALSE(tx.accounts().insert(same_key));
    CHECK(tx.accounts().list({}, 10) == std::vector{account});
    CHECK(tx.accounts().list(account.id, 10).empty());
    CHECK_FALSE(tx.accounts().get(same_key.id));
    CHECK(tx.accounts().insert(elsewhere));
    CHECK(tx.accounts().by_thumbprint(kOther, account.key_thumbprint)->id == elsewhere.id);
  });
}

void valid_accounts_are_counted(TestStore& store) {
  store->write([&](store::Tx& tx) {
    CHECK(tx.accounts().count_valid().empty());
    for (const char* name : {"a", "b", "c"}) {
      Account account = sample_account(name);
      if (account.id == sample_account("c").id) account.directory = kOther;
      REQUIRE(tx.accounts().insert(account));
    }
    const Account gone = sample_account("a");
    CHECK(tx.accounts().count_valid() ==
          std::map<DirectoryId, std::int64_t>{{gone.directory, 2}, {kOther, 1}});
    CHECK(tx.accounts().deactivate(gone.directory, gone.id));
    CHECK(tx.accounts().deactivate(kOther, sample_account("c").id));
    CHECK(tx.accounts().count_valid() == std::map<DirectoryId, std::int64_t>{{gone.directory, 1}});
  });
}

void account_can_be_changed(TestStore& store) {
  Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    store::Accounts accounts = tx.accounts();
    REQUIRE(accounts.insert(account));
    CHECK(accounts.set_contacts(kDirectory, account.id, {"mailto:new@example.test"}));
    CHECK(accounts.set_terms_agreed(kDirectory, account.id, "https://ca.test/terms/2"));
    account.contacts = {"mailto:new@example.test"};
    account.terms_agreed = "https://ca.test/terms/2";
    CHECK(accounts.get(account.id) == account);
    CHECK(accounts.set_contacts(kDirectory, account.id, {}));
    CHECK(accounts.get(account.id)->contacts.empty());
  });
}

void deactivated_account_is_final(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    store::Accounts accounts = tx.accounts();
    REQUIRE(accounts.insert(account));
    CHECK(accounts.is_valid(kDirectory, account.id));
    CHECK_FALSE(accounts.is_valid(kOther, account.id));
    CHECK(accounts.deactivate(kDirectory, account.id));
    CHECK_FALSE(accounts.is_valid(kDirectory, account.id));
    CHECK_FALSE(accounts.deactivate(kDirectory, account.id));
    CHECK_FALSE(accounts.set_contacts(kDirectory, account.id, {}));
    CHECK_FALSE(accounts.set_terms_agreed(kDirectory, account.id, "x"));
    CHECK_FALSE(accounts.change_key(kDirectory, account.id, account.key_thumbprint, "t", "j", "s"));
    CHECK(accounts.get(account.id)->status == AccountStatus::deactivated);
    CHECK(accounts.get(account.id)->contacts == account.contacts);
    CHECK(accounts.any_has_key(account.key_spki_sha256));
  });
}

void key_change_is_compare_and_set(TestStore& store) {
  const Account a = sample_account("a");
  const Account b = sample_account("b");
  store->write([&](store::Tx& tx) {
    store::Accounts accounts = tx.accounts();
    REQUIRE(accounts.insert(a));
    REQUIRE(accounts.insert(b));
    CHECK_FALSE(accounts.change_key(kDirectory, a.id, "not-its-key", "new", "jwk", "spki"));
    CHECK_FALSE(
        accounts.change_key(kDirectory, a.id, a.key_thumbprint, b.key_thumbprint, "jwk", "spki"));
    CHECK(accounts.get(a.id) == a);
    CHECK(accounts.change_key(kDirectory, a.id, a.key_thumbprint, "new", "new-jwk", "new-spki"));
    CHECK_FALSE(accounts.by_thumbprint(kDirectory, a.key_thumbprint));
    CHECK_FALSE(accounts.any_has_key(a.key_spki_sha256));
    const std::optional<Account> changed = accounts.by_thumbprint(kDirectory, "new");
    REQUIRE(changed);
    CHECK(changed->id == a.id);
    CHECK(changed->key_jwk == "new-jwk");
    CHECK(changed->key_spki_sha256 == "new-spki");
    CHECK_FALSE(accounts.change_key(kDirectory, a.id, a.key_thumbprint, "late", "j", "s"));
  });
}

void blocked_keys_stay(TestStore& store) {
  store->write([](store::Tx& tx) {
    CHECK_FALSE(tx.blocked_keys().contains("spki"));
    tx.blocked_keys().add("spki", tx.now(), "keyCompromise");
    tx.blocked_keys().add("spki", tx.now(), "again");
    CHECK(tx.blocked_keys().contains("spki"));
  });
}

void state_is_by_name(TestStore& store) {
  store->write([](store::Tx& tx) {
    CHECK_FALSE(tx.state().get("issuance.stopped"));
    tx.state().set("issuance.stopped", "disk");
    tx.state().set("issuance.stopped", "clock; DROP TABLE state --");
    CHECK(tx.state().get("issuance.stopped") == "clock; DROP TABLE state --");
    tx.state().remove("issuance.stopped");
    tx.state().remove("issuance.stopped");
    CHECK_FALSE(tx.state().get("issuance.stopped"));
  });
}

}  // namespace

std::vector<ContractCase> account_cases() {
  return {
      {"an account comes back as it was inserted", account_comes_back},
      {"an account is found and changed in its own directory only",
       accounts_are_bound_to_directories},
      {"a key has one account in a directory, and may have one in another",
       key_is_unique_in_its_directory},
      {"valid accounts are counted by directory", valid_accounts_are_counted},
      {"contacts and agreed terms of a valid account can be changed", account_can_be_changed},
      {"a deactivated account is never changed again, its key stays known",
       deactivated_account_is_final},
      {"a key change needs the old key and a new one that nobody has",
       key_change_is_compare_and_set},
      {"a blocked key stays blocked, blocking it again is harmless", blocked_keys_stay},
      {"state is set, overwritten and removed by name", state_is_by_name},
  };
}

}  // namespace gatehouse::testing
