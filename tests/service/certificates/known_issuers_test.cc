#include "acme-server/service/certificates/known_issuers.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/revocation.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using testing::ScriptedBackend;
using testing::TestKey;
using testing::TestServices;

struct Fixture {
  Fixture() { remember(); }

  void remember() { service::remember_issuers(services.context()); }

  // The certificate of a new order.
  CertificateRecord issue(const std::string& name) {
    const auto ready = services.ready_order(account, {name});
    services.orders().finalize(account, ready.order.id, TestKey().csr({name}));
    services.run_jobs();
    const CertificateId id = services.show(account, ready).order.certificate.value();
    return services.store->read([&](store::Tx& tx) { return tx.certificates().get(id).value(); });
  }

  std::vector<std::string> stored() {
    std::vector<std::string> ids;
    for (const auto& issuer :
         services.store->read([](store::Tx& tx) { return tx.issuers().all(); })) {
      ids.push_back(issuer.id.str());
    }
    return ids;
  }

  // What the audit trail says of issuers.
  std::vector<std::string> audited() {
    std::vector<std::string> kinds;
    for (const auto& row :
         services.store->read([](store::Tx& tx) { return tx.audit().list(0, 1000); })) {
      if (row.event.kind.starts_with("issuer.")) kinds.push_back(row.event.kind);
    }
    return kinds;
  }

  // As the clients see it.
  bool serves(const std::string& path) {
    service::PublicFiles files(services.context());
    return files.find(path).has_value();
  }

  TestServices services;
  Account account = services.new_account();
  const std::string own = services.ca->issuer().id.str();
};

TEST_CASE("the issuers of a backend are stored once, and each change is audited") {
  Fixture f;
  CHECK(f.stored() == std::vector{f.own});
  CHECK(f.audited() == std::vector<std::string>{"issuer.added"});
  f.remember();
  CHECK(f.audited().size() == 1);
  backends::Issuer renewed = f.services.ca->issuer();
  renewed.chain.push_back(f.services.ca->root());
  f.services.ca->set_issuers({renewed});
  f.remember();
  CHECK(f.audited() == std::vector<std::string>{"issuer.added", "issuer.changed"});
}

TEST_CASE("a server restarted without its CA still knows the issuers of what it issued") {
  Fixture f;
  const CertificateRecord record = f.issue("a.test");
  f.services.ca->set_issuers({});
  f.services.context().backends.keep({});
  CHECK_FALSE(f.serves("/issuer/" + f.own + ".cer"));  // as after the start
  f.remember();
  CHECK(f.stored() == std::vector{f.own});
  CHECK(f.serves("/issuer/" + f.own + ".cer"));
  CHECK(f.serves("/issuer/root.cer"));
  CHECK(f.serves("/root.pem"));
  const auto leaf = crypto::parse_pem_chain(record.chain_pem).value().front();
  service::Revocation revocation(f.services.context());
  revocation.by_account(f.account, leaf.der, 4);
  CHECK(f.services.store->read(
      [&](store::Tx& tx) { return tx.certificates().get(record.id)->revocation.has_value(); }));
}

TEST_CASE("what was asked of a CA before a restart is checked with the issuers that are kept") {
  Fixture f;
  f.services.ca->next(ScriptedBackend::Step::pend);
  const auto order = f.services.processing_order(f.account, {"a.test"});
  f.services.run_jobs();
  f.services.ca->set_issuers({});
  f.services.restart();
  f.remember();
  f.services.advance(std::chrono::minutes(1));
  f.services.run_jobs();
  CHECK(f.services.show(f.account, order).status == OrderStatus::valid);
}

TEST_CASE("an issuer that nothing needs any more is dropped, and one that is needed stays") {
  Fixture f;
  ScriptedBackend next(f.services.entropy);
  SUBCASE("nothing was issued") {
    f.services.ca->set_issuers({next.issuer()});
    f.remember();
    CHECK(f.stored() == std::vector{next.issuer().id.str()});
    CHECK(f.audited() ==
          std::vector<std::string>{"issuer.added", "issuer.added", "issuer.removed"});
    CHECK_FALSE(f.serves("/issuer/" + f.own + ".cer"));
  }
  SUBCASE("a certificate lives") {
    f.issue("a.test");
    f.services.ca->set_issuers({next.issuer()});
    f.remember();
    CHECK(f.stored().size() == 2);
    CHECK(f.serves("/issuer/" + f.own + ".cer"));
    CHECK(f.serves("/issuer/" + next.issuer().id.str() + ".cer"));
  }
  SUBCASE("an intent may still become one") {
    f.services.ca->next(ScriptedBackend::Step::fail);
    const auto order = f.services.processing_order(f.account, {"a.test"});
    f.services.run_jobs();
    f.services.ca->set_issuers({next.issuer()});
    f.remember();
    CHECK(f.stored().size() == 2);
    f.services.advance(std::chrono::minutes(5));
    f.services.run_jobs();
    CHECK(f.services.show(f.account, order).status == OrderStatus::valid);
  }
}

TEST_CASE("an intent for an issuer that is known is not stale while its CA is out of reach") {
  Fixture f;
  const auto order = f.services.processing_order(f.account, {"a.test"});
  f.services.ca->set_issuers({});
  f.remember();
  f.services.run_jobs();
  CHECK(f.services.show(f.account, order).status == OrderStatus::valid);
  CHECK(f.services.issuances(order.order.id).size() == 1);
}

TEST_CASE("a snapshot that somebody holds stays as it is when its backend renews it") {
  Fixture f;
  const backends::IssuersSnapshot held = f.services.ca->issuers();
  f.services.ca->set_issuers({});
  REQUIRE(held->in_use() != nullptr);
  CHECK(held->in_use()->id.str() == f.own);
  CHECK(f.services.ca->issuers()->in_use() == nullptr);
}

}  // namespace
}  // namespace gatehouse
