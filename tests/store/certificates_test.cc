#include <doctest/doctest.h>

#include "acme-server/base/check.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/sql/database.h"
#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using store::IssuanceState;

struct Issued {
  Order order;
  store::Issuance issuance;
  CertificateRecord certificate;
};

Issued insert_certificate(store::Tx& tx, const Account& account, const std::string& name,
                          Instant issued_at = kNoon) {
  Issued issued;
  issued.order = insert_order(tx, account, name, name + ".test");
  issued.issuance = sample_issuance(name, issued.order.id);
  tx.issuances().insert(issued.issuance);
  issued.certificate = sample_certificate(issued.order, issued.issuance);
  issued.certificate.issued_at = issued_at;
  tx.certificates().insert(issued.certificate);
  return issued;
}

void issuance_moves_by_compare_and_set(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    store::Issuances issuances = tx.issuances();
    tx.accounts().insert(account);
    const Order order = insert_order(tx, account, "x", "a.test");
    store::Issuance issuance = sample_issuance("1", order.id);
    issuance.expected = R"({"serial":"ca_chooses"})";
    issuances.insert(issuance);
    CHECK(issuances.get(issuance.id) == issuance);
    CHECK(issuances.current(order.id) == issuance);
    CHECK_FALSE(issuances.set_poll(issuance.id, "too early"));
    CHECK(issuances.move(issuance.id, IssuanceState::prepared, IssuanceState::submitted));
    CHECK_FALSE(issuances.move(issuance.id, IssuanceState::prepared, IssuanceState::submitted));
    CHECK_FALSE(issuances.move(issuance.id, IssuanceState::prepared, IssuanceState::abandoned));
    CHECK(issuances.set_poll(issuance.id, "ask again"));
    CHECK(issuances.get(issuance.id)->poll == "ask again");
    CHECK(issuances.count(IssuanceState::submitted) == 1);
    CHECK(issuances.move(issuance.id, IssuanceState::submitted, IssuanceState::issued));
    CHECK_FALSE(issuances.set_poll(issuance.id, "too late"));
    CHECK(issuances.count(IssuanceState::submitted) == 0);
    CHECK(issuances.count(IssuanceState::issued) == 1);
    CHECK(issuances.any_has_key(issuance.spki_sha256));
    CHECK_FALSE(issuances.any_has_key("spki-of-nobody"));
    CHECK_THROWS_AS(issuances.move(issuance.id, IssuanceState::issued, IssuanceState::submitted),
                    LogicError);
  });
}

void intents_of_a_backend_move_together(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    store::Issuances issuances = tx.issuances();
    tx.accounts().insert(account);
    for (const char* name : {"1", "2", "3"}) {
      store::Issuance issuance =
          sample_issuance(name, insert_order(tx, account, name, "a.test").id);
      if (issuance.id == IssuanceId("issuance-3")) issuance.backend = "other";
      issuances.insert(issuance);
    }
    const std::string backend = issuances.get(IssuanceId("issuance-1"))->backend;
    CHECK(issuances.move_all(backend, IssuanceState::prepared, IssuanceState::submitted) == 2);
    CHECK(issuances.move_all(backend, IssuanceState::prepared, IssuanceState::submitted) == 0);
    CHECK(issuances.get(IssuanceId("issuance-3"))->state == IssuanceState::prepared);

    // Sent, and nothing is known of what the CA has said.
    CHECK(issuances.undecided(std::nullopt, 10).empty());
    for (const char* id : {"issuance-1", "issuance-2"}) {
      CHECK(issuances.set_poll(IssuanceId(id), "ask again"));
    }
    const auto newest = issuances.undecided(std::nullopt, 1);
    REQUIRE(newest.size() == 1);
    CHECK(newest.front() == issuances.get(IssuanceId("issuance-2"))->order);
    const auto rest = issuances.undecided(newest.front(), 10);
    REQUIRE(rest.size() == 1);
    CHECK(rest.front() == issuances.get(IssuanceId("issuance-1"))->order);
  });
}

void order_has_one_living_intent(TestStore& store) {
  const Account account = sample_account("a");
  const OrderId order("order-x");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    insert_order(tx, account, "x", "a.test");
    tx.issuances().insert(sample_issuance("1", order));
  });
  CHECK_THROWS_AS(
      store->write([&](store::Tx& tx) { tx.issuances().insert(sample_issuance("2", order)); }),
      sql::ConstraintError);
  store->write([&](store::Tx& tx) {
    store::Issuances issuances = tx.issuances();
    CHECK(issuances.move(IssuanceId("issuance-1"), IssuanceState::prepared,
                         IssuanceState::abandoned));
    CHECK_FALSE(issuances.current(order));
    CHECK_FALSE(issuances.any_has_key(sample_issuance("1", order).spki_sha256));
    issuances.insert(sample_issuance("2", order));
    CHECK(issuances.current(order)->id == IssuanceId("issuance-2"));
    CHECK(issuances.all_of(order).size() == 2);
  });
}

void serial_is_unique_with_its_issuer(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    for (const char* name : {"1", "2", "3", "4"}) {
      insert_order(tx, account, name, std::string(name) + ".test");
    }
    tx.issuances().insert(sample_issuance("1", OrderId("order-1")));
  });
  store::Issuance same = sample_issuance("2", OrderId("order-2"));
  same.serial = "0a1";
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) { tx.issuances().insert(same); }),
                  sql::ConstraintError);
  same.issuer = IssuerId("other-issuer");
  store->write([&](store::Tx& tx) { tx.issuances().insert(same); });
  // A CA that chooses the serial itself: any number of intents know none.
  for (const char* name : {"3", "4"}) {
    store::Issuance unknown = sample_issuance(name, OrderId(std::string("order-") + name));
    unknown.serial.clear();
    store->write([&](store::Tx& tx) { tx.issuances().insert(unknown); });
  }
}

void certificate_comes_back(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const CertificateRecord one = insert_certificate(tx, account, "1").certificate;
    const CertificateRecord two =
        insert_certificate(tx, account, "2", kNoon + seconds(1)).certificate;
    const CertificateRecord three = insert_certificate(tx, account, "3").certificate;
    store::Certificates certificates = tx.certificates();
    CHECK(certificates.of(account.id, one.id) == one);
    CHECK(certificates.get(one.id) == one);
    CHECK(certificates.by_serial(one.issuer, one.serial) == one);
    CHECK_FALSE(certificates.of(AccountId("account-stranger"), one.id));
    CHECK_FALSE(certificates.by_serial(IssuerId("other"), one.serial));
    CHECK_FALSE(certificates.by_serial(one.issuer, "ff"));
    CHECK(certificates.list(std::nullopt, 10) == std::vector{two, three, one});
    CHECK(certificates.list(std::nullopt, 2) == std::vector{two, three});
    CHECK(certificates.list(three.id, 2) == std::vector{one});
    CHECK(certificates.list(CertificateId("none"), 2).empty());
  });
}

void certificates_are_searched(TestStore& store) {
  const Account account = sample_account("a");
  const Account other = sample_account("b");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    tx.accounts().insert(other);
    std::vector<CertificateRecord> made;
    for (const char* name : {"1", "2", "3", "4"}) {
      made.push_back(insert_certificate(tx, name == std::string("4") ? other : account, name,
                                        kNoon + seconds(made.size()))
                         .certificate);
    }
    store::Certificates certificates = tx.certificates();
    const auto found = [&](auto member, const auto& value) {
      store::CertificateFilter filter;
      filter.*member = value;
      std::string names;
      for (const CertificateRecord& each : certificates.search(filter, {}, 10).certificates) {
        names += each.identifiers.front().value.substr(0, 1);
      }
      return names;
    };
    CHECK(found(&store::CertificateFilter::name, "") == "4321");
    CHECK(found(&store::CertificateFilter::name, "2.test") == "2");
    CHECK(found(&store::CertificateFilter::name, "%.test").empty());
    CHECK(found(&store::CertificateFilter::name, "2.TEST").empty());
    CHECK(found(&store::CertificateFilter::account, other.id.str()) == "4");
    const Instant ends = made.front().not_after;
    CHECK(found(&store::CertificateFilter::ends_before, ends).empty());
    CHECK(found(&store::CertificateFilter::ends_before, ends + seconds(1)) == "4321");
    CHECK(found(&store::CertificateFilter::ends_at_or_after, ends) == "4321");
    CHECK(found(&store::CertificateFilter::ends_at_or_after, ends + seconds(1)).empty());
    CHECK(found(&store::CertificateFilter::revoked, true).empty());
    REQUIRE(certificates.revoke(made[1].id, {.at = kNoon, .reason = 4}));
    CHECK(found(&store::CertificateFilter::revoked, true) == "2");

    const store::CertificatePage first = certificates.search({}, {}, 3);
    REQUIRE(first.next);
    CHECK(first.next == made[1].id);
    const store::CertificatePage last = certificates.search({}, first.next, 3);
    REQUIRE(last.certificates.size() == 1);
    CHECK(last.certificates.front().id == made[0].id);
    CHECK_FALSE(last.next);
    CHECK(certificates.search({}, CertificateId("none"), 3).certificates.empty());

    CHECK(certificates.with_serial("ff").empty());
    REQUIRE(certificates.with_serial(made[2].serial).size() == 1);
    CHECK(certificates.with_serial(made[2].serial).front().id == made[2].id);
  });
}

void certificate_is_one_per_order_and_serial(TestStore& store) {
  const Account account = sample_account("a");
  Issued issued;
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    issued = insert_certificate(tx, account, "1");
    const Order order = insert_order(tx, account, "2", "b.test");
    tx.issuances().insert(sample_issuance("2", order.id));
  });
  CertificateRecord again = issued.certificate;
  again.id = CertificateId("again");
  again.serial = "ff";
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) { tx.certificates().insert(again); }),
                  sql::ConstraintError);
  again.order = OrderId("order-2");
  again.issuance = IssuanceId("issuance-2");
  again.serial = issued.certificate.serial;
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) { tx.certificates().insert(again); }),
                  sql::ConstraintError);
}

void certificate_is_revoked_once(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const CertificateId id = insert_certificate(tx, account, "1").certificate.id;
    CHECK(tx.certificates().revoke(id, {.at = kNoon, .reason = 1}));
    CHECK_FALSE(tx.certificates().revoke(id, {.at = kNoon + hours(1), .reason = 4}));
    CHECK_FALSE(tx.certificates().revoke(CertificateId("none"), {.at = kNoon, .reason = 1}));
    CHECK(tx.certificates().get(id)->revocation == Revocation{.at = kNoon, .reason = 1});
  });
}

void crl_has_its_shard_in_order(TestStore& store) {
  const Account account = sample_account("a");
  constexpr int kCount = 1203;  // more than one page
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    for (int i = 0; i < kCount; ++i) {
      const std::string name = std::to_string(10'000 + (i * 7919) % kCount);
      const CertificateId id = insert_certificate(tx, account, name).certificate.id;
      REQUIRE(tx.certificates().revoke(id, {.at = kNoon + seconds(i), .reason = i % 2}));
    }
    insert_certificate(tx, account, "unrevoked");
  });
  store->read([&](store::Tx& tx) {
    const IssuerId issuer("issuer");
    const std::string url = "http://pki.test/0.crl";
    const auto count = [&](const IssuerId& of, const std::string& shard, Instant since) {
      std::string previous;
      int rows = 0;
      tx.certificates().revoked(of, shard, since, [&](const store::Certificates::Revoked& row) {
        CHECK(previous < row.serial);
        previous = row.serial;
        ++rows;
      });
      return rows;
    };
    const Instant ends = kNoon + hours(24 * 90);
    CHECK(count(issuer, url, ends) == kCount);
    CHECK(count(issuer, url, ends + seconds(1)) == 0);
    CHECK(count(issuer, "http://pki.test/1.crl", kNoon) == 0);
    CHECK(count(IssuerId("other"), url, kNoon) == 0);
  });
}

void crls_in_use_are_known(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const auto insert = [&](const std::string& name, const std::string& backend,
                            const std::string& issuer, const std::string& url, Instant end) {
      const Order order = insert_order(tx, account, name, name + ".test");
      store::Issuance issuance = sample_issuance(name, order.id);
      tx.issuances().insert(issuance);
      CertificateRecord certificate = sample_certificate(order, issuance);
      certificate.backend = backend;
      certificate.issuer = IssuerId(issuer);
      certificate.crl_url = url;
      certificate.not_after = end;
      tx.certificates().insert(certificate);
      return certificate;
    };
    CHECK(tx.certificates().crls_in_use(kNoon).empty());
    insert("1", "local", "x", "u0", kNoon + hours(1));
    insert("2", "local", "x", "u0", kNoon + hours(3));
    insert("3", "local", "x", "u1", kNoon - hours(1));
    insert("4", "local", "y", "u0", kNoon);
    const auto last = insert("5", "old", "x", "u0", kNoon + hours(2));
    const std::vector<store::CrlInUse> in_use = tx.certificates().crls_in_use(kNoon);
    CHECK(in_use ==
          std::vector<store::CrlInUse>{
              {.backend = "local",
               .issuer = IssuerId("x"),
               .url = "u0",
               .last_end = kNoon + hours(3)},
              {.backend = "local", .issuer = IssuerId("y"), .url = "u0", .last_end = kNoon},
              {.backend = "old",
               .issuer = IssuerId("x"),
               .url = "u0",
               .last_end = kNoon + hours(2)}});
    CHECK_FALSE(tx.certificates().last_revoked(IssuerId("x"), "u0"));
    CHECK(tx.certificates().revoke(CertificateId("certificate-of-order-1"),
                                   {.at = kNoon, .reason = 0}));
    CHECK(tx.certificates().revoke(last.id, {.at = kNoon + seconds(7), .reason = 0}));
    CHECK(tx.certificates().last_revoked(IssuerId("x"), "u0") == kNoon + seconds(7));
    CHECK_FALSE(tx.certificates().last_revoked(IssuerId("x"), "u1"));
  });
}

void own_certificate_is_the_newest_that_fits(TestStore& store) {
  const std::vector<Identifier> names = {{IdentifierType::dns, "ca.test"},
                                         {IdentifierType::ip, "192.0.2.1"}};
  const std::vector<Identifier> swapped = {names[1], names[0]};
  store->write([&](store::Tx& tx) {
    const auto insert = [&](const std::string& name, Instant at) {
      Order order = sample_order(name, AccountId(), {});
      order.account = std::nullopt;
      order.identifiers = names;
      order.finalization = Finalization{.csr = "csr", .at = at};
      tx.orders().insert(order);
      const store::Issuance issuance = sample_issuance(name, order.id);
      tx.issuances().insert(issuance);
      CertificateRecord certificate = sample_certificate(order, issuance);
      certificate.issued_at = at;
      tx.certificates().insert(certificate);
      return certificate;
    };
    const CertificateRecord old = insert("1", kNoon);
    const CertificateRecord fresh = insert("2", kNoon + hours(1));
    const Account account = sample_account("a");
    tx.accounts().insert(account);
    insert_certificate(tx, account, "client", kNoon + hours(2));
    CHECK(tx.certificates().own(kDirectory, swapped) == fresh);
    CHECK_FALSE(tx.certificates().own(kDirectory, {names[0]}));
    CHECK_FALSE(tx.certificates().own(DirectoryId("other"), names));
    REQUIRE(tx.certificates().revoke(fresh.id, {.at = kNoon, .reason = 0}));
    CHECK(tx.certificates().own(kDirectory, names) == old);
    CHECK_FALSE(tx.certificates().of(AccountId(""), old.id));
  });
}

void crl_number_only_rises(TestStore& store) {
  const IssuerId issuer("issuer");
  const std::string url = "http://pki.test/0.crl";
  const std::int64_t by_clock = to_unix(kNoon) * 1'000'000;
  store->write([&](store::Tx& tx) {
    store::Crls crls = tx.crls();
    CHECK_FALSE(crls.in_force(issuer, url));
    CHECK(crls.next_number(issuer, url, kNoon) == by_clock);
    store::CrlRecord crl{.issuer = issuer,
                         .url = url,
                         .file = "/crl/0.crl",
                         .number = by_clock,
                         .this_update = kNoon,
                         .next_update = kNoon + hours(24)};
    CHECK(crls.put_whole(crl, as_bytes("first")));
    CHECK_FALSE(crls.put_whole(crl, as_bytes("first")));
    CHECK(crls.octets(crls.in_force(issuer, url).value()) == "first");
    CHECK(crls.by_file("/crl/0.crl")->number == by_clock);
    CHECK_FALSE(crls.by_file("/crl/1.crl"));
    CHECK(crls.next_number(issuer, url, kNoon) == by_clock + 1);
    CHECK(crls.next_number(issuer, url, kNoon - hours(1)) == by_clock + 1);
    CHECK(crls.next_number(issuer, url, kNoon + seconds(1)) == by_clock + 1'000'000);
    CHECK(crls.next_number(issuer, "http://pki.test/1.crl", kNoon) == by_clock);
    crl.number = by_clock - 1;
    CHECK_FALSE(crls.put_whole(crl, as_bytes("lower")));
    crl.number = by_clock + 1;
    CHECK(crls.put_whole(crl, as_bytes("second")));
    CHECK(crls.octets(crls.in_force(issuer, url).value()) == "second");
    CHECK(crls.sweep(issuer, url, 1) == 1);  // the first, or what was refused
    CHECK(crls.sweep(issuer, url, 9) == 1);
    CHECK(crls.sweep(issuer, url, 9) == 0);
    CHECK(crls.octets(crls.in_force(issuer, url).value()) == "second");
  });
}

void crl_comes_into_force_whole(TestStore& store) {
  const std::string der(2 * store::Crls::kPartBytes + 1, 'x');
  store::CrlRecord crl{.issuer = IssuerId("issuer"),
                       .url = "http://pki.test/0.crl",
                       .file = "/crl/0.crl",
                       .number = 7,
                       .this_update = kNoon,
                       .next_update = kNoon + hours(24),
                       .entries = 3,
                       .sha256 = crypto::sha256_hex(as_bytes(der)),
                       .parts = store::Crls::parts_of(der.size())};
  REQUIRE(crl.parts == 3);
  const auto put = [&](std::int64_t position) {
    store->write([&](store::Tx& tx) { tx.crls().put_part(crl, position, as_bytes(der)); });
  };
  const auto octets = [&] {
    return store->read(
        [&](store::Tx& tx) { return tx.crls().octets(tx.crls().by_file("/crl/0.crl").value()); });
  };
  put(0);
  put(2);
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) { tx.crls().put(crl); }), sql::DatabaseError);
  CHECK_FALSE(store->read([&](store::Tx& tx) { return tx.crls().by_file("/crl/0.crl"); }));
  put(0);  // again, as after a crash
  put(1);
  store->write([&](store::Tx& tx) { CHECK(tx.crls().put(crl)); });
  CHECK(octets() == der);
  CHECK(store->read([&](store::Tx& tx) { return tx.crls().in_force(crl.issuer, crl.url); }) == crl);
  // Half of the next one, which a crash cut short: nobody's until a higher number is in force.
  const store::CrlRecord before = crl;
  crl.number = 8;
  put(1);
  CHECK(store->write([&](store::Tx& tx) { return tx.crls().sweep(crl.issuer, crl.url, 9); }) == 0);
  crl.number = 9;
  store->write([&](store::Tx& tx) {
    CHECK(tx.crls().put_whole(crl, as_bytes("next")));
    CHECK(tx.crls().sweep(crl.issuer, crl.url, 9) == before.parts + 1);
  });
  CHECK(octets() == "next");
}

void crl_with_another_digest_is_not_given_out(TestStore& store) {
  store->write([&](store::Tx& tx) {
    store::CrlRecord crl{.issuer = IssuerId("issuer"),
                         .url = "http://pki.test/0.crl",
                         .file = "/crl/0.crl",
                         .number = 7,
                         .this_update = kNoon,
                         .next_update = kNoon + hours(24),
                         .entries = 0,
                         .sha256 = crypto::sha256_hex(as_bytes("one")),
                         .parts = 1};
    tx.crls().put_part(crl, 0, as_bytes("two"));
    CHECK(tx.crls().put(crl));
    CHECK_THROWS_AS(tx.crls().octets(crl), sql::DatabaseError);
    crl.parts = 2;
    CHECK_THROWS_AS(tx.crls().octets(crl), sql::DatabaseError);
  });
}

}  // namespace

std::vector<ContractCase> certificate_cases() {
  return {
      {"an issuance moves from the state it is in, and never out of a final one",
       issuance_moves_by_compare_and_set},
      {"intents of a backend move together, and those that its CA has not decided are listed",
       intents_of_a_backend_move_together},
      {"an order has one intent that is not abandoned", order_has_one_living_intent},
      {"a serial is unique with its issuer, unless the CA chooses it",
       serial_is_unique_with_its_issuer},
      {"a certificate comes back, to its account only; operators see the newest first",
       certificate_comes_back},
      {"certificates are searched, a page at a time", certificates_are_searched},
      {"an order, and a serial, has one certificate", certificate_is_one_per_order_and_serial},
      {"a certificate is revoked once", certificate_is_revoked_once},
      {"the rows of a CRL are its shard's, sorted, without what has expired",
       crl_has_its_shard_in_order},
      {"the CRLs of certificates that are not over are known, and when each last changed",
       crls_in_use_are_known},
      {"the server's own certificate is the newest unrevoked one for exactly its names",
       own_certificate_is_the_newest_that_fits},
      {"a CRL's number only rises", crl_number_only_rises},
      {"a CRL in parts comes into force whole, and what it replaces is swept away",
       crl_comes_into_force_whole},
      {"a CRL whose octets have another digest is not given out",
       crl_with_another_digest_is_not_given_out},
  };
}

}  // namespace gatehouse::testing
