#include "acme-server/service/certificates/revocation.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/crl_job.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using std::chrono::hours;
using testing::rejection_of;
using testing::ScriptedBackend;
using testing::TestKey;
using testing::TestServices;

// A certificate as its holder has it.
struct Held {
  CertificateRecord record;
  crypto::Certificate leaf;
};

struct Fixture {
  Fixture() { services.runner().add(crl_job, services.lane); }

  Held issue(const Account& holder, const std::vector<std::string>& names, const TestKey& its_key) {
    const auto ready = services.ready_order(holder, names);
    services.orders().finalize(holder, ready.order.id, its_key.csr(names));
    services.run_jobs();
    const auto view = services.show(holder, ready);
    REQUIRE(view.status == OrderStatus::valid);
    const CertificateRecord record = get(view.order.certificate.value());
    return {record, crypto::parse_pem_chain(record.chain_pem).value().front()};
  }

  CertificateRecord get(const CertificateId& id) {
    return services.store->read([&](store::Tx& tx) { return tx.certificates().get(id).value(); });
  }

  bool is_blocked(const std::string& spki_sha256) {
    return services.store->read(
        [&](store::Tx& tx) { return tx.blocked_keys().contains(spki_sha256); });
  }

  // The CRL that anyone may fetch now.
  crypto::Crl published() {
    const auto file = files.find("/crl/scripted/0.crl");
    REQUIRE(file);
    CHECK(file->content_type == "application/pkix-crl");
    return crypto::parse_crl(as_bytes(*file->body)).value();
  }

  TestServices services;
  service::PublicFiles files{services.context()};
  service::CrlJob crl_job{services.context(), files};
  service::Revocation revocation{services.context()};
  TestKey key;
  Account account = services.new_account();
};

// A CA that will not take a revocation.
class Unwilling final : public backends::Revoker {
 public:
  backends::RevokeOutcome revoke(const backends::RevokeRequest& request, Deadline) override {
    asked = request;
    return {.done = false, .why_not = "closed on Sundays"};
  }

  std::optional<backends::RevokeRequest> asked;
};

TEST_CASE("reasons other than 0, 1, 3, 4, 5 and 9 are refused, and the problem lists these") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  for (const std::int64_t reason :
       {std::int64_t{-1}, std::int64_t{2}, std::int64_t{6}, std::int64_t{7}, std::int64_t{8},
        std::int64_t{10}, std::int64_t{11}, std::numeric_limits<std::int64_t>::max()}) {
    CAPTURE(reason);
    const Problem problem =
        rejection_of([&] { f.revocation.by_account(f.account, held.leaf.der, reason); });
    CHECK(problem.type == ProblemType::badRevocationReason);
    CHECK(problem.detail.find("0 (unspecified), 1 (keyCompromise), 3 (") != std::string::npos);
    CHECK(problem.detail.find("9 (privilegeWithdrawn)") != std::string::npos);
  }
  CHECK_FALSE(f.get(held.record.id).revocation);
}

TEST_CASE("a certificate that is not ours, byte for byte, is not revoked") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  const store::Issuance issuance = f.services.issuances(held.record.order).front();
  crypto::CertificateTemplate same = f.services.ca->template_of(issuance.request);
  ScriptedBackend other(f.services.entropy);  // the same name, another key

  const auto der_of = [](const std::string& chain) {
    return crypto::parse_pem_chain(chain).value().front().der;
  };
  crypto::CertificateTemplate with_its_key_id = same;
  with_its_key_id.authority_key_id = other.issuer().certificate.subject_key_id;
  crypto::CertificateTemplate without_key_id = same;
  without_key_id.authority_key_id = {};
  Bytes tampered = held.leaf.der;
  tampered.back() ^= 1;
  Bytes longer = held.leaf.der;
  longer.push_back(0);

  struct Row {
    std::string what;
    Bytes der;
  };

  const Row rows[] = {
      {"no certificate", {1, 2, 3}},
      {"nothing", {}},
      {"one bit of the signature", tampered},
      {"an octet behind it", longer},
      {"the same serial by another CA of our CA's name", der_of(other.chain_of(with_its_key_id))},
      {"that, claiming our key", der_of(other.chain_of(same))},
      {"that, claiming no key", der_of(other.chain_of(without_key_id))},
      {"signed by us, but never issued", der_of(f.services.ca->chain_of(without_key_id))},
      {"the issuer", f.services.ca->issuer().certificate.der},
      {"the root", f.services.ca->root().der},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Problem by_account =
        rejection_of([&] { f.revocation.by_account(f.account, row.der, std::nullopt); });
    CHECK(by_account.type == ProblemType::malformed);
    const Problem by_key = rejection_of([&] { f.revocation.by_key(f.key.jwk, row.der, 1); });
    CHECK(by_key.type == ProblemType::malformed);
  }
  CHECK_FALSE(f.get(held.record.id).revocation);
  CHECK_FALSE(f.is_blocked(f.key.sha256));
}

TEST_CASE("an account may not revoke another's certificate without all of its authorizations") {
  struct Row {
    std::string what;
    std::vector<std::string> authorized;
    hours later;
  };

  const Row rows[] = {
      {"no authorization", {}, hours(0)},
      {"one name too few", {"a.test", "b.test"}, hours(0)},
      {"the wildcard's base name alone", {"a.test", "b.test", "w.test"}, hours(0)},
      {"all of them, expired by now", {"a.test", "b.test", "*.w.test"}, hours(24 * 11)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    const Held held = f.issue(f.account, {"a.test", "b.test", "*.w.test"}, f.key);
    const Account other = f.services.new_account();
    if (!row.authorized.empty()) f.services.ready_order(other, row.authorized);
    f.services.advance(row.later);
    const Problem problem =
        rejection_of([&] { f.revocation.by_account(other, held.leaf.der, std::nullopt); });
    CHECK(problem.type == ProblemType::unauthorized);
    CHECK(status_of(problem) == 403);
    CHECK_FALSE(f.get(held.record.id).revocation);
  }
}

TEST_CASE("a third party with all authorizations sets no reason but 0, 4 and 5") {
  for (const int reason : {0, 1, 3, 4, 5, 9}) {
    CAPTURE(reason);
    Fixture f;
    const Held held = f.issue(f.account, {"a.test"}, f.key);
    const Account other = f.services.new_account();
    f.services.ready_order(other, {"a.test"});
    const auto revoke = [&] { f.revocation.by_account(other, held.leaf.der, reason); };
    if (reason == 0 || reason == 4 || reason == 5) {
      revoke();
      CHECK(f.get(held.record.id).revocation.value().reason == reason);
      continue;
    }
    const Problem problem = rejection_of(revoke);
    CHECK(problem.type == ProblemType::badRevocationReason);
    CHECK(problem.detail.find("0 (unspecified), 4 (superseded), 5 (cessationOfOperation)") !=
          std::string::npos);
    CHECK(problem.detail.find("1 (keyCompromise)") == std::string::npos);
    CHECK_FALSE(f.get(held.record.id).revocation);
    f.revocation.by_account(f.account, held.leaf.der, reason);  // the issuing account may
    CHECK(f.get(held.record.id).revocation.value().reason == reason);
  }
}

TEST_CASE("an account without authorizations is told that, not which reasons there are") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  const Account other = f.services.new_account();
  const Problem problem = rejection_of([&] { f.revocation.by_account(other, held.leaf.der, 1); });
  CHECK(problem.type == ProblemType::unauthorized);
}

TEST_CASE("a deactivated account revokes nothing") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  f.services.accounts().deactivate(f.account);
  const Problem problem =
      rejection_of([&] { f.revocation.by_account(f.account, held.leaf.der, std::nullopt); });
  CHECK(problem.type == ProblemType::unauthorized);
}

TEST_CASE("a key revokes its own certificate alone") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  const TestKey other;
  f.issue(f.account, {"b.test"}, other);
  const crypto::Jwk ca_key = crypto::jwk_of_spki(f.services.ca->issuer().certificate.spki).value();
  for (const crypto::Jwk& key : {other.jwk, TestKey().jwk, ca_key}) {
    const Problem problem = rejection_of([&] { f.revocation.by_key(key, held.leaf.der, 1); });
    CHECK(problem.type == ProblemType::unauthorized);
    CHECK(status_of(problem) == 403);
    CHECK_FALSE(f.is_blocked(crypto::spki_sha256(key)));
  }
  CHECK_FALSE(f.get(held.record.id).revocation);
}

TEST_CASE("an expired certificate is not revoked, its last second included") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  f.services.store.clock.set(held.record.not_after + std::chrono::seconds(1));
  const Problem problem =
      rejection_of([&] { f.revocation.by_account(f.account, held.leaf.der, std::nullopt); });
  CHECK(problem.type == ProblemType::malformed);
  CHECK(problem.detail.find("expired at") != std::string::npos);
  CHECK_FALSE(f.get(held.record.id).revocation);

  Fixture g;
  const Held valid = g.issue(g.account, {"a.test"}, g.key);
  g.services.store.clock.set(valid.record.not_after);
  g.revocation.by_account(g.account, valid.leaf.der, std::nullopt);
  CHECK(g.get(valid.record.id).revocation);
}

TEST_CASE("what the CA behind us does not take is not recorded as revoked") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  backends::Backend* backend = f.services.context().backends.find("local");
  Unwilling unwilling;
  backend->revoker = &unwilling;
  const Problem problem =
      rejection_of([&] { f.revocation.by_account(f.account, held.leaf.der, 4); });
  CHECK(problem.type == ProblemType::serverInternal);
  CHECK(status_of(problem) == 503);
  CHECK(problem.detail.find("Sundays") == std::string::npos);  // for the log, not for clients
  REQUIRE(unwilling.asked);
  CHECK(unwilling.asked->serial == held.record.serial);
  CHECK(unwilling.asked->reason == 4);
  CHECK_FALSE(f.get(held.record.id).revocation);
}

TEST_CASE("each of the three ways revokes, once, and the CRL says so when its job has run") {
  struct Row {
    std::string what;
    std::function<void(Fixture&, const Held&)> revoke;
    int reason;
    std::string actor;
  };

  const Row rows[] = {
      {"issuing account, no reason",
       [](Fixture& f, const Held& held) {
         f.revocation.by_account(f.account, held.leaf.der, std::nullopt);
       },
       0, "account:"},
      {"account with all authorizations",
       [](Fixture& f, const Held& held) {
         const Account other = f.services.new_account();
         f.services.ready_order(other, {"a.test", "*.a.test"});
         f.revocation.by_account(other, held.leaf.der, 5);
       },
       5, "account:"},
      {"the certificate's key",
       [](Fixture& f, const Held& held) { f.revocation.by_key(f.key.jwk, held.leaf.der, 1); }, 1,
       "key:"},
      {"the operator",
       [](Fixture& f, const Held& held) {
         f.revocation.by_operator(held.record.id, 9, OperatorByUid{0});
       },
       9, "operator:0"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    const Held held = f.issue(f.account, {"a.test", "*.a.test"}, f.key);
    f.crl_job.make_missing();
    CHECK(f.published().entries.empty());
    row.revoke(f, held);
    const auto revocation = f.get(held.record.id).revocation;
    REQUIRE(revocation);
    CHECK(revocation->reason == row.reason);
    f.services.restart();  // the enqueued CRL outlives the process
    service::PublicFiles files(f.services.context());
    service::CrlJob job(f.services.context(), files);
    f.services.runner().add(job, f.services.lane);
    f.services.run_jobs();
    const auto file = files.find("/crl/scripted/0.crl");
    REQUIRE(file);
    const crypto::Crl crl = crypto::parse_crl(as_bytes(*file->body)).value();
    REQUIRE(crl.entries.size() == 1);
    CHECK(crl.entries.front().serial == held.record.serial);
    CHECK(crl.entries.front().reason == row.reason);
    CHECK(crl.entries.front().revoked_at == revocation->at);

    service::Revocation again(f.services.context());
    const Problem twice =
        rejection_of([&] { again.by_account(f.account, held.leaf.der, std::nullopt); });
    CHECK(twice.type == ProblemType::alreadyRevoked);
    CHECK(f.get(held.record.id).revocation == revocation);

    std::string actor;
    f.services.store->read([&](store::Tx& tx) {
      for (const auto& event : tx.audit().of_order(held.record.order)) {
        if (event.event.kind == "certificate.revoked") actor += to_string(event.event.actor);
      }
    });
    CHECK(actor.starts_with(row.actor));
  }
}

TEST_CASE("a key that is said to be compromised by whoever holds it is blocked for good") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  const Held revoked = f.issue(f.account, {"b.test"}, f.key);
  f.revocation.by_account(f.account, held.leaf.der, 1);
  CHECK_FALSE(f.is_blocked(f.key.sha256));  // an account says so, and proves nothing
  f.revocation.by_account(f.account, revoked.leaf.der, 4);
  const Problem twice = rejection_of([&] { f.revocation.by_key(f.key.jwk, revoked.leaf.der, 1); });
  CHECK(twice.type == ProblemType::alreadyRevoked);
  CHECK(f.is_blocked(f.key.sha256));  // though there was nothing left to revoke

  const auto ready = f.services.ready_order(f.account, {"c.test"});
  const Problem refused = rejection_of(
      [&] { f.services.orders().finalize(f.account, ready.order.id, f.key.csr({"c.test"})); });
  CHECK(refused.type == ProblemType::badCSR);
}

TEST_CASE("a key revoking for another reason than its compromise is not blocked") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  f.revocation.by_key(f.key.jwk, held.leaf.der, 4);
  CHECK(f.get(held.record.id).revocation);
  CHECK_FALSE(f.is_blocked(f.key.sha256));
}

TEST_CASE("the operator is told of a certificate that is not there") {
  Fixture f;
  const Problem problem =
      rejection_of([&] { f.revocation.by_operator(CertificateId("nope"), 0, OperatorByUid{0}); });
  CHECK(problem.type == ProblemType::malformed);
  CHECK(problem.detail.find("nope") != std::string::npos);
}

TEST_CASE("a certificate is given to the account that it was issued to, and no other") {
  Fixture f;
  const Held held = f.issue(f.account, {"a.test"}, f.key);
  service::Certificates certificates(f.services.context());
  CHECK(certificates.get(f.account, held.record.id) == held.record);
  CHECK_FALSE(certificates.get(f.services.new_account(), held.record.id));
  CHECK_FALSE(certificates.get(f.account, CertificateId("nope")));
}

}  // namespace
}  // namespace gatehouse
