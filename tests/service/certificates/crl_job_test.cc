#include "acme-server/service/certificates/crl_job.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/revocation.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::TestKey;
using testing::TestServices;

constexpr std::string_view kFile = "/crl/scripted/0.crl";

// Asks the test before it signs, and lets it change what is signed.
class HookedSigner final : public backends::CrlSigner {
 public:
  struct Call {
    backends::CrlShard shard;
    std::int64_t number;
    Instant this_update, next_update;
    crypto::CrlBuilder entries;
  };

  explicit HookedSigner(backends::CrlSigner& inner) : inner_(inner) {}

  Bytes sign_crl(const backends::CrlShard& shard, std::int64_t number, Instant this_update,
                 Instant next_update, crypto::CrlBuilder entries) override {
    Call call{shard, number, this_update, next_update, std::move(entries)};
    if (hook) hook(call);
    Bytes crl = inner_.sign_crl(call.shard, call.number, call.this_update, call.next_update,
                                std::move(call.entries));
    if (spoil) spoil(crl);
    return crl;
  }

  std::vector<backends::OfflineCrl> offline_crls() override { return offline; }

  std::function<void(Call&)> hook;
  std::function<void(Bytes&)> spoil;
  std::vector<backends::OfflineCrl> offline;

 private:
  backends::CrlSigner& inner_;
};

struct Fixture {
  Fixture() {
    services.context().backends.find("local")->crls = &signer;
    services.runner().add(job, services.lane);
  }

  // A revoked certificate's serial.
  CertificateRecord issue(const std::string& name) {
    const auto ready = services.ready_order(account, {name});
    services.orders().finalize(account, ready.order.id, TestKey().csr({name}));
    services.run_jobs();
    const auto view = services.show(account, ready);
    return services.store->read([&](store::Tx& tx) {
      return tx.certificates().get(view.order.certificate.value()).value();
    });
  }

  std::optional<store::CrlRecord> in_force() {
    return services.store->read([&](store::Tx& tx) { return tx.crls().by_file(kFile); });
  }

  Bytes der() {
    const std::string octets = services.store->read(
        [&](store::Tx& tx) { return tx.crls().octets(tx.crls().by_file(kFile).value()); });
    return Bytes(octets.begin(), octets.end());
  }

  crypto::Crl published() { return crypto::parse_crl(der()).value(); }

  std::vector<std::string> published_serials() {
    std::vector<std::string> serials;
    for (const auto& entry : published().entries) serials.push_back(entry.serial);
    return serials;
  }

  TestServices services;
  HookedSigner signer{*services.ca};
  service::PublicFiles files{services.context()};
  service::CrlJob job{services.context(), files};
  service::Revocation revocation{services.context()};
  Account account = services.new_account();
};

}  // namespace

TEST_CASE("a CRL that does not read back as it should is not published") {
  struct Row {
    std::string what;
    std::function<void(Fixture&)> spoil;
  };

  const Row rows[] = {
      {"another number", [](Fixture& f) { f.signer.hook = [](auto& call) { call.number += 1; }; }},
      {"another distribution point",
       [](Fixture& f) { f.signer.hook = [](auto& call) { call.shard.url += "x"; }; }},
      {"another end",
       [](Fixture& f) { f.signer.hook = [](auto& call) { call.next_update += seconds(1); }; }},
      {"an entry too many",
       [](Fixture& f) {
         f.signer.hook = [](auto& call) {
           call.entries.add({.serial = "01", .revoked_at = call.this_update, .reason = 0});
         };
       }},
      {"an entry too few",
       [](Fixture& f) { f.signer.hook = [](auto& call) { call.entries = crypto::CrlBuilder(); }; }},
      {"a broken signature",
       [](Fixture& f) { f.signer.spoil = [](Bytes& crl) { crl.back() ^= 1; }; }},
      {"half of it",
       [](Fixture& f) { f.signer.spoil = [](Bytes& crl) { crl.resize(crl.size() / 2); }; }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    f.job.make_missing();
    const Bytes before = f.der();
    const CertificateRecord certificate = f.issue("a.test");
    row.spoil(f);
    f.revocation.by_operator(certificate.id, 4, OperatorByUid{0});
    f.services.run_jobs();
    CHECK(f.der() == before);

    f.signer.hook = nullptr;  // the job has not given up
    f.signer.spoil = nullptr;
    f.services.advance(hours(1));
    f.services.run_jobs();
    CHECK(f.published_serials() == std::vector<std::string>{certificate.serial});
  }
}

TEST_CASE("make_missing throws when a shard's CRL cannot be made, and keeps those that are there") {
  Fixture f;
  f.signer.hook = [](auto&) { throw std::runtime_error("the key is out of reach"); };
  CHECK_THROWS_AS(f.job.make_missing(), std::runtime_error);
  f.signer.hook = nullptr;
  f.job.make_missing();
  const auto first = f.in_force();
  f.job.make_missing();
  CHECK(f.in_force()->number == first->number);
  f.services.store.clock.set(first->next_update);
  f.job.make_missing();  // a server that was down for too long
  CHECK(f.in_force()->number > first->number);
}

TEST_CASE("a CRL names its distribution point, its dates and a number above the one before") {
  Fixture f;
  f.job.make_missing();
  const crypto::Crl first = f.published();
  const Instant now = f.services.store.clock.now();
  CHECK(first.head.distribution_point == "http://pki.test/crl/scripted/0.crl");
  CHECK(first.head.number == to_unix(now) * 1'000'000);
  CHECK(first.head.this_update == now);
  CHECK(first.head.next_update == now + f.services.policy.get()->server.crl_lifetime);
  CHECK(crypto::crl_is_signed_by(f.der(), f.services.ca->issuer().certificate));

  const auto revoke_one = [&](const std::string& name) {
    f.revocation.by_operator(f.issue(name).id, 0, OperatorByUid{0});
    f.services.run_jobs();
    return f.published().head.number;
  };
  const std::int64_t second = revoke_one("a.test");  // within the same second
  CHECK(second == first.head.number + 1);
  f.services.store.clock.set(now - hours(5));  // a clock that was set back
  CHECK(revoke_one("b.test") > second);
  f.services.store.clock.set(now + hours(5));
  CHECK(revoke_one("c.test") == to_unix(now + hours(5)) * 1'000'000);
}

TEST_CASE("a CRL is made anew at its interval") {
  Fixture f;
  f.job.make_missing();
  f.job.enqueue_all();
  f.services.run_jobs();
  const std::int64_t first = f.in_force()->number;
  const seconds interval = f.services.policy.get()->server.crl_interval;
  f.services.advance(interval - seconds(1));
  f.services.run_jobs();
  CHECK(f.in_force()->number == first);
  f.services.advance(seconds(1));
  f.services.run_jobs();
  const std::int64_t second = f.in_force()->number;
  CHECK(second > first);
  f.services.advance(interval);
  f.services.run_jobs();
  CHECK(f.in_force()->number > second);
}

TEST_CASE("a start makes a CRL at once when the one in force is older than the interval") {
  Fixture f;
  f.job.make_missing();
  const std::int64_t first = f.in_force()->number;
  f.services.advance(f.services.policy.get()->server.crl_interval + hours(3));
  f.job.enqueue_all();
  f.services.run_jobs();
  CHECK(f.in_force()->number > first);
}

TEST_CASE("what is revoked while a CRL is being signed is on the next one, made right behind it") {
  Fixture f;
  const CertificateRecord before = f.issue("a.test");
  const CertificateRecord meanwhile = f.issue("b.test");
  std::vector<std::size_t> published;
  int calls = 0;
  f.signer.hook = [&](auto&) {
    if (++calls == 1) f.revocation.by_operator(meanwhile.id, 0, OperatorByUid{0});
  };
  f.revocation.by_operator(before.id, 0, OperatorByUid{0});
  REQUIRE(f.services.run_due_once() == 1);
  CHECK(f.published_serials() == std::vector<std::string>{before.serial});
  f.services.run_jobs();
  CHECK(calls == 2);
  CHECK(f.published_serials().size() == 2);
}

TEST_CASE("an entry stays until one lifetime after its certificate's end, and then goes") {
  Fixture f;
  const CertificateRecord certificate = f.issue("a.test");
  f.revocation.by_operator(certificate.id, 4, OperatorByUid{0});
  f.services.run_jobs();
  const seconds lifetime = f.services.policy.get()->server.crl_lifetime;
  const auto entries_at = [&](Instant now) {
    f.services.store.clock.set(now);
    f.services.store.job_clock.set(now);
    f.services.run_jobs();
    CHECK(f.published().head.this_update == now);
    return f.published().entries.size();
  };
  CHECK(entries_at(certificate.not_after - hours(30)) == 1);
  CHECK(entries_at(certificate.not_after + lifetime) == 1);
  CHECK(entries_at(certificate.not_after + lifetime + hours(25)) == 0);
}

TEST_CASE("a certificate that is revoked and ends while the server is down is on the next CRL") {
  Fixture f;
  f.job.make_missing();
  const CertificateRecord certificate = f.issue("a.test");
  f.services.store->write([&](store::Tx& tx) {
    REQUIRE(tx.certificates().revoke(certificate.id, {.at = tx.now(), .reason = 1}));
  });
  const seconds lifetime = f.services.policy.get()->server.crl_lifetime;
  f.services.store.clock.set(certificate.not_after + 10 * lifetime);
  f.job.make_missing();
  CHECK(f.published_serials() == std::vector<std::string>{certificate.serial});
  f.services.store.clock.set(certificate.not_after + 12 * lifetime);
  f.job.make_missing();
  CHECK(f.published().entries.empty());
}

TEST_CASE("an older view of the revocations never replaces a newer one") {
  Fixture f;
  f.job.make_missing();
  f.signer.hook = [&](auto& call) {  // another node is faster
    f.services.store->write([&](store::Tx& tx) {
      auto other = tx.crls().by_file(kFile).value();
      other.number = call.number + 5;
      REQUIRE(
          tx.crls().put_whole(other, as_bytes(tx.crls().octets(tx.crls().by_file(kFile).value()))));
    });
    f.signer.hook = nullptr;
  };
  const CertificateRecord certificate = f.issue("a.test");
  f.revocation.by_operator(certificate.id, 4, OperatorByUid{0});
  REQUIRE(f.services.run_due_once() == 1);
  CHECK(f.published().entries.empty());
  f.services.advance(hours(1));
  f.services.run_jobs();
  CHECK(f.published_serials() == std::vector<std::string>{certificate.serial});
}

TEST_CASE("the job of a shard that is no more ends") {
  Fixture f;
  f.services.store->write([](store::Tx& tx) {
    tx.jobs().enqueue("id", store::JobKind::publish_crl, "gone http://pki.test/old.crl",
                      tx.job_now());
  });
  f.services.run_jobs();
  CHECK_FALSE(f.services.store->read([](store::Tx& tx) {
    return tx.jobs().exists(store::JobKind::publish_crl, "gone http://pki.test/old.crl");
  }));
}

TEST_CASE("public files are known paths alone") {
  Fixture f;
  f.job.make_missing();
  for (const char* path : {"", "/", "/crl/", "/crl/scripted/1.crl", "/crl/../root.pem", "/issuer/",
                           "/issuer/.cer", "/issuer/nobody.cer", "/root.pem/", "/ROOT.PEM"}) {
    CAPTURE(path);
    CHECK_FALSE(f.files.find(path));
  }
}

TEST_CASE("public files are the CRL in force, issuers and the root") {
  Fixture f;
  f.job.make_missing();
  const backends::Issuer& issuer = f.services.ca->issuer();
  const auto crl = f.files.find(kFile);
  REQUIRE(crl);
  CHECK(*crl->body == as_text(f.der()));
  CHECK(crl->modified == f.in_force()->this_update);
  CHECK(crl->expires == f.in_force()->next_update);
  CHECK(f.files.find(kFile)->body == crl->body);  // one copy for all who download it

  const auto cer = f.files.find("/issuer/" + issuer.id.str() + ".cer");
  REQUIRE(cer);
  CHECK(cer->content_type == "application/pkix-cert");
  CHECK(*cer->body == as_text(issuer.certificate.der));
  const auto root = f.files.find("/issuer/root.cer");
  REQUIRE(root);
  CHECK(*root->body == as_text(issuer.root->der));
  const auto pem = f.files.find("/root.pem");
  REQUIRE(pem);
  CHECK(*pem->body == crypto::to_pem(issuer.root->der));
}

TEST_CASE("a new CRL is served as soon as it is in force") {
  Fixture f;
  f.job.make_missing();
  const auto before = f.files.find(kFile)->body;
  f.revocation.by_operator(f.issue("a.test").id, 0, OperatorByUid{0});
  f.services.run_jobs();
  const auto after = f.files.find(kFile)->body;
  CHECK(*after != *before);
  CHECK(*after == as_text(f.der()));
}

TEST_CASE("a CRL that is renewed elsewhere is served within a minute") {
  Fixture f;
  const auto at = [&](const std::string& text) {
    f.signer.offline = {{.file = "/crl/root.crl",
                         .der = Bytes(as_bytes(text).begin(), as_bytes(text).end()),
                         .this_update = testing::kNoon,
                         .next_update = testing::kNoon + hours(24)}};
  };
  at("first");
  CHECK(*f.files.find("/crl/root.crl")->body == "first");
  at("second");
  f.services.advance(seconds(60));
  CHECK(*f.files.find("/crl/root.crl")->body == "second");
}

}  // namespace gatehouse
