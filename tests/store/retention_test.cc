// What is taken away.
#include "acme-server/store/retention.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;

constexpr Instant kLater = kNoon + hours(24 * 100);

void only_what_has_ended_is_removed(TestStore& store) {
  store->write([](store::Tx& tx) {
    const Account account = sample_account("a");
    tx.accounts().insert(account);
    const Order plain = insert_order(tx, account, "plain", "a.test");
    const Order waiting = insert_order(tx, account, "waiting", "b.test");
    const Order issued = insert_order(tx, account, "issued", "c.test");
    CHECK(tx.orders().finalize(account.id, waiting.id, {.csr = "csr", .at = kNoon}));
    tx.issuances().insert(sample_issuance("1", issued.id));
    const CertificateRecord certificate =
        sample_certificate(issued, sample_issuance("1", issued.id));
    tx.certificates().insert(certificate);
    CHECK(tx.orders().finalize(account.id, issued.id, {.csr = "csr", .at = kNoon}));
    CHECK(tx.orders().complete(issued.id, certificate.id));

    store::Retention old = tx.retention();
    const auto page = old.orders("", 2, kLater);
    CHECK(page.next.has_value());
    CHECK(page.ids.size() + old.orders(*page.next, 2, kLater).ids.size() == 2);
    CHECK(old.orders("", 10, kNoon).ids.empty());
    CHECK_FALSE(old.remove_order(plain.id, kNoon));
    CHECK_FALSE(old.remove_order(waiting.id, kLater));
    CHECK_FALSE(old.remove_order(issued.id, kLater));
    const AuthorizationId of_plain = plain.authorizations.front();
    CHECK_FALSE(old.remove_authorization(of_plain, kLater));  // its order is there
    CHECK(old.remove_order(plain.id, kLater));
    CHECK_FALSE(old.remove_order(plain.id, kLater));
    tx.jobs().enqueue("j", store::JobKind::validate_challenge, "challenge-plain-http-01", kNoon);
    CHECK_FALSE(old.remove_authorization(of_plain, kLater));  // and now its job
    const auto jobs =
        tx.jobs().claim_due(store::JobKind::validate_challenge, kNoon, 1, kNoon + hours(1), "t");
    CHECK(tx.jobs().finish(jobs.at(0), kNoon));
    CHECK(old.authorizations("", 10, kLater).ids.size() == 3);
    CHECK(old.remove_authorization(of_plain, kLater));

    CHECK(old.certificates("", 10, kNoon).ids.empty());
    CHECK(old.certificates("", 10, kLater).ids == std::vector{certificate.id.str()});
    CHECK_FALSE(old.remove_certificate(certificate.id, kNoon));
    CHECK(old.remove_certificate(certificate.id, kLater));
    CHECK_FALSE(tx.orders().get(issued.id));
    CHECK(old.remove_authorization(issued.authorizations.front(), kLater));
  });
}

}  // namespace

std::vector<ContractCase> retention_cases() {
  return {
      {"what has ended is removed, and nothing that is needed", only_what_has_ended_is_removed},
  };
}

}  // namespace gatehouse::testing
