// What is taken away, and what a restore puts back.
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

void kept_revocations_stand_on_the_crl(TestStore& store) {
  store->write([](store::Tx& tx) {
    const Account account = sample_account("a");
    tx.accounts().insert(account);
    const IssuerId issuer("issuer");
    const std::string url = "http://pki.test/0.crl";
    for (const char* name : {"2", "4"}) {
      const Order order = insert_order(tx, account, name, std::string(name) + ".test");
      tx.issuances().insert(sample_issuance(name, order.id));
      const CertificateRecord record = sample_certificate(order, sample_issuance(name, order.id));
      tx.certificates().insert(record);
      CHECK(tx.certificates().revoke(record.id, {.at = kNoon, .reason = 1}));
    }
    const auto keep = [&](const std::string& serial, Instant not_after) {
      return tx.certificates().keep_revoked(
          issuer, url, {.serial = serial, .at = kNoon, .reason = 4}, not_after);
    };
    for (const char* serial : {"0a5", "0a1", "0a4", "0a3"}) CHECK(keep(serial, kLater));
    CHECK_FALSE(keep("0a3", kLater));
    CHECK(keep("0a0", kNoon));  // long over
    std::vector<std::string> serials;
    std::vector<int> reasons;
    tx.certificates().revoked(issuer, url, kNoon + hours(1), [&](const auto& revoked) {
      serials.push_back(revoked.serial);
      reasons.push_back(revoked.reason);
    });
    CHECK(serials == std::vector<std::string>{"0a1", "0a2", "0a3", "0a4", "0a5"});
    CHECK(reasons == std::vector{4, 1, 4, 1, 4});
    serials.clear();
    tx.certificates().revoked(issuer, "http://pki.test/1.crl", kNoon,
                              [&](const auto& revoked) { serials.push_back(revoked.serial); });
    CHECK(serials.empty());
  });
}

void numbers_pass_a_floor(TestStore& store) {
  store->write([](store::Tx& tx) {
    const IssuerId issuer("issuer");
    CHECK(tx.crls().highest_number() == 0);
    const std::int64_t high = to_unix(kLater) * 1'000'000;
    tx.crls().raise_floor(high);
    tx.crls().raise_floor(high - 5);
    CHECK(tx.crls().next_number(issuer, "u", kNoon) == high + 1);
    const Bytes der = {0x30, 0x00};
    CHECK(tx.crls().put_whole({.issuer = issuer,
                               .url = "u",
                               .file = "/u",
                               .number = high + 7,
                               .this_update = kNoon,
                               .next_update = kLater},
                              der));
    CHECK(tx.crls().highest_number() == high + 7);
    CHECK(tx.crls().next_number(issuer, "u", kNoon) == high + 8);
  });
}

void events_are_put_back(TestStore& store) {
  // A log of two events, then the same database without the second.
  std::vector<store::AuditRow> log;
  {
    TestStore other;
    for (const char* kind : {"first", "second"}) {
      other->write([&](store::Tx& tx) {
        store::AuditEvent event;
        event.kind = kind;
        event.actor = ServerPrincipal{};
        event.order = OrderId("o");
        event.details = {{"b", 1}, {"a", {{"x", nullptr}}}};
        tx.audit().append(event);
      });
    }
    log = other->read([](store::Tx& tx) { return tx.audit().list(0, 10); });
  }
  store->write([&](store::Tx& tx) {
    std::string hash;
    for (const store::AuditRow& row : log) {
      // By way of its line.
      const store::AuditRow read = store::audit_row_of(parse_json(print_json(store::json_of(row))));
      CHECK(store::chained_hash(hash, read) == row.hash);
      hash = row.hash;
      tx.audit().put_back(read);
    }
  });
  store->write([](store::Tx& tx) {
    store::AuditEvent event;
    event.kind = "third";
    event.actor = ServerPrincipal{};
    tx.audit().append(event);
  });
  store->read([](store::Tx& tx) {
    CHECK_FALSE(tx.audit().why_broken());
    CHECK(tx.audit().list(0, 10).size() == 3);
    CHECK(tx.audit().head().sequence == 3);
  });
}

}  // namespace

std::vector<ContractCase> retention_cases() {
  return {
      {"what has ended is removed, and nothing that is needed", only_what_has_ended_is_removed},
      {"revocations without a certificate stand on the CRL", kept_revocations_stand_on_the_crl},
      {"CRL numbers pass a floor", numbers_pass_a_floor},
      {"events of an exported log are put back as they were", events_are_put_back},
  };
}

}  // namespace gatehouse::testing
