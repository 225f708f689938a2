#include "acme-server/store/issuers.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "acme-server/store/issuances.h"
#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using Put = store::Issuers::Put;

store::StoredIssuer sample_issuer(const std::string& backend, const std::string& id) {
  return {.backend = backend,
          .id = IssuerId(id),
          .chain_pem = "chain of " + id,
          .root_pem = "root",
          .added = kNoon};
}

void issuers_are_put_once(TestStore& store) {
  store->write([](store::Tx& tx) {
    const store::StoredIssuer first = sample_issuer("a", "one");
    store::StoredIssuer second = sample_issuer("a", "another");
    second.added = kNoon + std::chrono::hours(1);
    CHECK(tx.issuers().all().empty());
    CHECK(tx.issuers().put(second) == Put::added);
    CHECK(tx.issuers().put(first) == Put::added);
    CHECK(tx.issuers().put(sample_issuer("b", "one")) == Put::added);
    CHECK(tx.issuers().all() == std::vector{first, second, sample_issuer("b", "one")});
    store::StoredIssuer again = first;
    again.added = kNoon + std::chrono::hours(9);
    CHECK(tx.issuers().put(again) == Put::same);
    again.chain_pem = "renewed";
    CHECK(tx.issuers().put(again) == Put::changed);
    CHECK(tx.issuers().put(again) == Put::same);
    again.root_pem = "";
    CHECK(tx.issuers().put(again) == Put::changed);
    again.added = first.added;
    CHECK(tx.issuers().all() == std::vector{again, second, sample_issuer("b", "one")});
  });
}

// The issuer of sample_issuance() and sample_certificate() is "issuer" of backend "local".
void issuer_stays_while_it_is_needed(TestStore& store) {
  using store::IssuanceState;
  store->write([](store::Tx& tx) {
    const Account account = sample_account("a");
    tx.accounts().insert(account);
    const Order order = insert_order(tx, account, "x", "a.test");
    const store::Issuance issuance = sample_issuance("1", order.id);
    const IssuerId issuer = issuance.issuer;
    tx.issuers().put(sample_issuer("local", issuer.str()));
    tx.issuers().put(sample_issuer("local", "unfixed"));
    tx.issuers().put(sample_issuer("other", "stranger"));
    tx.issuances().insert(issuance);
    CHECK_FALSE(tx.issuers().remove_unneeded("local", issuer));
    // An intent need not say whose certificate it will be.
    CHECK_FALSE(tx.issuers().remove_unneeded("local", IssuerId("unfixed")));
    CHECK(tx.issuers().remove_unneeded("other", IssuerId("stranger")));
    CHECK(tx.issuances().move(issuance.id, IssuanceState::prepared, IssuanceState::submitted));
    CHECK_FALSE(tx.issuers().remove_unneeded("local", issuer));
    CHECK(tx.issuances().move(issuance.id, IssuanceState::submitted, IssuanceState::in_doubt));
    CHECK_FALSE(tx.issuers().remove_unneeded("local", issuer));
    CHECK(tx.issuances().move(issuance.id, IssuanceState::in_doubt, IssuanceState::issued));
    tx.certificates().insert(sample_certificate(order, issuance));
    CHECK_FALSE(tx.issuers().remove_unneeded("local", issuer));
    CHECK(tx.issuers().remove_unneeded("local", IssuerId("unfixed")));
  });
  store->write([](store::Tx& tx) {
    const Account account = sample_account("b");
    tx.accounts().insert(account);
    const Order order = insert_order(tx, account, "y", "b.test");
    store::Issuance issuance = sample_issuance("2", order.id);
    issuance.issuer = IssuerId("gone");
    tx.issuers().put(sample_issuer("local", "gone"));
    tx.issuances().insert(issuance);
    CHECK(tx.issuances().move(issuance.id, IssuanceState::prepared, IssuanceState::abandoned));
    CHECK(tx.issuers().remove_unneeded("local", IssuerId("gone")));
    CHECK_FALSE(tx.issuers().remove_unneeded("local", IssuerId("gone")));
  });
}

}  // namespace

std::vector<ContractCase> issuer_cases() {
  return {
      {"an issuer is added once, and replaced when it is another", issuers_are_put_once},
      {"an issuer stays while a certificate or an unfinished intent needs it",
       issuer_stays_while_it_is_needed},
  };
}

}  // namespace gatehouse::testing
