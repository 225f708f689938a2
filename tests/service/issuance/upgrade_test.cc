// Databases of older versions, with intents that nobody has finished.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/store/store.h"
#include "tests/support/landed_schema.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using store::IssuanceState;
using testing::ScriptedBackend;
using testing::TestServices;
using Step = ScriptedBackend::Step;

// Orders whose intents a program of schema 4 has left in each unfinished state.
struct Upgraded {
  explicit Upgraded(const std::function<void(Upgraded&)>& before_start = [](Upgraded&) {}) {
    services.ca->next(Step::fail);
    submitted = services.processing_order(account, {"submitted.test"});
    services.run_jobs();
    services.ca->next(Step::doubt);
    in_doubt = services.processing_order(account, {"doubt.test"});
    services.run_jobs();
    prepared = services.processing_order(account, {"prepared.test", "*.prepared.test"});
    before_start(*this);
    services.restart([&](sql::Database& database) {
      const auto writer = database.connect_writer();
      testing::return_to_schema(*writer, 4);
    });
  }

  store::Issuance only_intent_of(const service::OrderView& view) {
    const std::vector<store::Issuance> all = services.issuances(view.order.id);
    REQUIRE(all.size() == 1);
    return all.front();
  }

  // Lets every job run, and an operator resume the one in doubt.
  void finish() {
    services.store->write([&](store::Tx& tx) {
      tx.jobs().unpark(store::JobKind::issue_certificate, in_doubt.order.id.str(), tx.job_now());
    });
    services.advance(std::chrono::minutes(5));
    services.run_jobs();
  }

  TestServices services{{.repeatable = false}};
  Account account = services.new_account();
  service::OrderView prepared, submitted, in_doubt;
};

TEST_CASE("an upgrade from schema 4 keeps each unfinished intent as it was") {
  Upgraded upgraded;
  CHECK(upgraded.services.store->schema() > 4);
  CHECK(upgraded.only_intent_of(upgraded.prepared).state == IssuanceState::prepared);
  CHECK(upgraded.only_intent_of(upgraded.submitted).state == IssuanceState::submitted);
  CHECK(upgraded.only_intent_of(upgraded.in_doubt).state == IssuanceState::in_doubt);
  for (const auto* view : {&upgraded.prepared, &upgraded.submitted, &upgraded.in_doubt}) {
    CHECK(upgraded.only_intent_of(*view).expected.empty());
  }
}

TEST_CASE("after an upgrade from schema 4 each unfinished intent is issued, with its own serial") {
  Upgraded upgraded;
  TestServices& services = upgraded.services;
  const auto calls = services.ca->calls().size();
  upgraded.finish();
  for (const auto* view : {&upgraded.prepared, &upgraded.submitted, &upgraded.in_doubt}) {
    CAPTURE(view->order.identifiers.front().value);
    const auto shown = services.show(upgraded.account, *view);
    REQUIRE(shown.status == OrderStatus::valid);
    const store::Issuance intent = upgraded.only_intent_of(*view);
    CHECK(intent.state == IssuanceState::issued);
    services.store->read([&](store::Tx& tx) {
      const auto record = tx.certificates().get(*shown.order.certificate).value();
      CHECK(record.serial == intent.serial);
      CHECK(record.issuer == intent.issuer);
      CHECK(record.crl_url == intent.crl_url);
      CHECK(record.not_after == intent.not_after);
    });
  }
  std::size_t submits = 0;
  for (std::size_t i = calls; i < services.ca->calls().size(); ++i) {
    if (!services.ca->calls()[i].resumed) ++submits;
  }
  CHECK(submits == 1);  // the prepared one's
}

TEST_CASE("after an upgrade from schema 4 a certificate that is not its intent's is not recorded") {
  struct Row {
    std::string name;
    ScriptedBackend::Tamper tamper;
  };

  const Row rows[] = {
      {"serial", [](auto& leaf) { leaf.serial.back() ^= 1; }},
      {"notAfter", [](auto& leaf) { leaf.not_after += std::chrono::seconds(1); }},
      {"names", [](auto& leaf) { leaf.dns_names.emplace_back("b.test"); }},
      {"key usage", [](auto& leaf) { leaf.key_usages.emplace_back("keyAgreement"); }},
      {"purpose", [](auto& leaf) { leaf.extended_key_usages.emplace_back("clientAuth"); }},
      {"CRL", [](auto& leaf) { leaf.crl_url.clear(); }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Upgraded upgraded;
    upgraded.services.ca->tamper(row.tamper);
    // The first one stops the backend, until an operator says otherwise.
    do {
      upgraded.finish();
    } while (
        service::resume_backend(upgraded.services.context(), "local", OperatorByUid{.uid = 0}));
    for (const auto* view : {&upgraded.prepared, &upgraded.submitted, &upgraded.in_doubt}) {
      CHECK(upgraded.only_intent_of(*view).state == IssuanceState::refused);
    }
    CHECK(
        upgraded.services.store->read([](store::Tx& tx) { return tx.certificates().list({}, 10); })
            .empty());
  }
}

TEST_CASE(
    "a profile that changed over the upgrade does not keep what was submitted from its order") {
  Upgraded upgraded([](Upgraded& before) {
    service::Policy policy = *before.services.policy.get();
    policy.directories.at(DirectoryId("default")).profiles.at("default").extended_key_usages = {
        "clientAuth"};
    before.services.policy.replace(std::move(policy));
  });
  upgraded.finish();
  TestServices& services = upgraded.services;
  CHECK(services.show(upgraded.account, upgraded.submitted).status == OrderStatus::valid);
  CHECK(services.show(upgraded.account, upgraded.in_doubt).status == OrderStatus::valid);
  // What was only prepared is made anew under the profile of today.
  CHECK(services.show(upgraded.account, upgraded.prepared).status == OrderStatus::valid);
  CHECK(services.issuances(upgraded.prepared.order.id).size() == 2);
}

}  // namespace
}  // namespace gatehouse
