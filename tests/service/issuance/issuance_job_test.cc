#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/faulty_database.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using store::IssuanceState;
using testing::ScriptedBackend;
using testing::TestKey;
using testing::TestServices;
using Step = ScriptedBackend::Step;

std::vector<IssuanceState> states_of(TestServices& services, const OrderId& order) {
  std::vector<IssuanceState> states;
  for (const store::Issuance& issuance : services.issuances(order))
    states.push_back(issuance.state);
  std::ranges::sort(states);
  return states;
}

CertificateRecord certificate_of(TestServices& services, const service::OrderView& view) {
  return services.store->read(
      [&](store::Tx& tx) { return tx.certificates().get(view.order.certificate.value()).value(); });
}

TEST_CASE("an order becomes valid with the serial, names and dates of its intent") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test", "*.a.test"});
  services.run_jobs();
  const auto view = services.show(account, order);
  REQUIRE(view.status == OrderStatus::valid);
  const store::Issuance issuance = services.issuances(order.order.id).front();
  const CertificateRecord record = certificate_of(services, view);
  CHECK(issuance.state == IssuanceState::issued);
  CHECK(record.serial == issuance.serial);
  CHECK(record.not_after == issuance.not_after);
  CHECK(record.identifiers == order.order.identifiers);
  CHECK(record.issuance == issuance.id);
  CHECK(record.account == account.id);
  CHECK_FALSE(services.has_job(order.order.id));
  CHECK(services.audit_kinds(order.order.id) ==
        std::vector<std::string>{"order.created", "order.finalized", "certificate.intent",
                                 "certificate.submitted", "certificate.issued", "order.valid"});
}

TEST_CASE(
    "what ceased to hold between finalize and submit fails the order, and nothing is signed") {
  struct Row {
    std::string name;
    std::function<void(TestServices&, const Account&, const service::OrderView&)> change;
    ProblemType problem;
  };

  const Row rows[] = {
      {"account deactivated",
       [](TestServices& services, const Account& account, const service::OrderView&) {
         services.accounts().deactivate(account);
       },
       ProblemType::unauthorized},
      {"authorization deactivated",
       [](TestServices& services, const Account& account, const service::OrderView& order) {
         services.authorizations().deactivate(account, order.order.authorizations.front());
       },
       ProblemType::unauthorized},
      {"authorization expired",
       [](TestServices& services, const Account&, const service::OrderView&) {
         services.advance(std::chrono::hours(24 * 11));
       },
       ProblemType::unauthorized},
      {"key blocked",
       [](TestServices& services, const Account&, const service::OrderView& order) {
         const std::string key = services.issuances(order.order.id).front().spki_sha256;
         services.store->write(
             [&](store::Tx& tx) { tx.blocked_keys().add(key, tx.now(), "test"); });
       },
       ProblemType::badCSR},
      {"profile removed",
       [](TestServices& services, const Account&, const service::OrderView&) {
         service::Directory directory = TestServices::default_directory();
         directory.profiles = {{"other", directory.profiles.at("default")}};
         directory.default_profile = "other";
         services.use(directory);
       },
       ProblemType::unauthorized},
      {"challenge type switched off",
       [](TestServices& services, const Account&, const service::OrderView&) {
         service::Directory directory = TestServices::default_directory();
         directory.profiles.at("default").challenge_types = {"dns-01"};
         services.use(directory);
       },
       ProblemType::unauthorized},
      {"key type not taken any more",
       [](TestServices& services, const Account&, const service::OrderView&) {
         service::Directory directory = TestServices::default_directory();
         directory.certificate_keys.allowed = {crypto::KeyType::rsa};
         services.use(directory);
       },
       ProblemType::badCSR},
      {"stale, and the backend prepares no other",
       [](TestServices& services, const Account&, const service::OrderView&) {
         services.advance(std::chrono::hours(2));
         services.ca->on_prepare(
             [] { reject(ProblemType::rejectedIdentifier, "The CA ends too soon."); });
       },
       ProblemType::rejectedIdentifier},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TestServices services;
    const Account account = services.new_account();
    const auto order = services.prepared_order(account, {"a.test"});
    row.change(services, account, order);
    services.run_jobs();
    const auto view = services.show(account, order);
    CHECK(view.status == OrderStatus::invalid);
    REQUIRE(view.order.error);
    CHECK(view.order.error->type == row.problem);
    CHECK(services.ca->calls().empty());
    CHECK(services.ca->signed_certificates() == 0);
    CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::abandoned});
    CHECK_FALSE(services.has_job(order.order.id));
    CHECK(services.audit_kinds(order.order.id).back() == "order.invalid");
  }
}

TEST_CASE("a stale intent is abandoned and another one takes its place") {
  struct Row {
    std::string name;
    std::function<void(TestServices&)> change;
  };

  const Row rows[] = {
      {"over an hour old",
       [](TestServices& services) { services.advance(std::chrono::minutes(61)); }},
      {"from the future",
       [](TestServices& services) { services.store.clock.advance(-std::chrono::hours(1)); }},
      {"profile changed",
       [](TestServices& services) {
         service::Directory directory = TestServices::default_directory();
         directory.profiles.at("default").validity = std::chrono::hours(24 * 30);
         services.use(directory);
       }},
      {"key policy changed",
       [](TestServices& services) {
         service::Directory directory = TestServices::default_directory();
         directory.certificate_keys.rsa_min_bits = 3072;
         services.use(directory);
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TestServices services;
    const Account account = services.new_account();
    const auto order = services.prepared_order(account, {"a.test"});
    const std::string first = services.issuances(order.order.id).front().serial;
    row.change(services);
    services.run_jobs();
    const auto view = services.show(account, order);
    REQUIRE(view.status == OrderStatus::valid);
    CHECK(states_of(services, order.order.id) ==
          std::vector{IssuanceState::issued, IssuanceState::abandoned});
    CHECK(certificate_of(services, view).serial != first);
    // The abandoned serial was never signed.
    REQUIRE(services.ca->calls().size() == 1);
    CHECK(services.ca->calls().front().serial != first);
  }
}

TEST_CASE("an intent exactly one hour old is submitted") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.prepared_order(account, {"a.test"});
  services.advance(service::IssuanceJob::kIntentAge);
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
  CHECK(services.issuances(order.order.id).size() == 1);
}

TEST_CASE("once submitted, an intent is finished whatever changes: account, profile, age") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  const std::string serial = services.issuances(order.order.id).front().serial;
  services.ca->next(Step::fail);
  services.run_jobs();
  REQUIRE(states_of(services, order.order.id) == std::vector{IssuanceState::submitted});
  services.accounts().deactivate(account);
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").validity = std::chrono::hours(24 * 30);
  directory.profiles.at("default").backend = "another";
  services.use(directory);
  services.advance(std::chrono::hours(5));
  services.run_jobs();
  const auto view = services.show(account, order);
  REQUIRE(view.status == OrderStatus::valid);
  CHECK(certificate_of(services, view).serial == serial);
}

TEST_CASE("a crash after the mark resumes the same serial") {
  testing::FaultPlan plan;
  TestServices services({.wrap = [&](std::unique_ptr<sql::Database> database) {
    return std::make_unique<testing::FaultyDatabase>(std::move(database), plan);
  }});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  const std::string serial = services.issuances(order.order.id).front().serial;
  // The process dies when it writes what came back: the certificate is signed and nobody has seen
  // it.
  services.ca->on_call([&](const ScriptedBackend::Call&) {
    plan.set([](const testing::CommitPoint&) { return testing::Fault::crash_before; });
  });
  services.run_jobs();
  REQUIRE(plan.crashed());
  CHECK(services.ca->signed_certificates() == 1);
  plan.set({});
  services.ca->on_call({});
  plan.restart();
  services.restart();
  CHECK(services.show(account, order).status == OrderStatus::processing);
  services.run_jobs();  // the lease of the dead is waited for by nobody
  const auto view = services.show(account, order);
  REQUIRE(view.status == OrderStatus::valid);
  CHECK(certificate_of(services, view).serial == serial);
  const auto calls = services.ca->calls();
  REQUIRE(calls.size() == 2);
  CHECK_FALSE(calls[0].resumed);
  CHECK(calls[1].resumed);
  CHECK(calls[0].request == calls[1].request);
  CHECK(services.ca->signed_certificates() == 1);
}

TEST_CASE("a crash right after the abandoning leaves no order without an intent for long") {
  testing::FaultPlan plan;
  TestServices services({.wrap = [&](std::unique_ptr<sql::Database> database) {
    return std::make_unique<testing::FaultyDatabase>(std::move(database), plan);
  }});
  const Account account = services.new_account();
  const auto order = services.prepared_order(account, {"a.test"});
  services.advance(std::chrono::hours(2));
  const std::int64_t before = plan.commits();
  // The claim, then the abandoning.
  plan.set([&](const testing::CommitPoint& point) {
    return point.number == before + 2 ? testing::Fault::crash_after : testing::Fault::none;
  });
  services.run_jobs();
  REQUIRE(plan.crashed());
  plan.set({});
  plan.restart();
  services.restart();
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::abandoned});
  services.advance(std::chrono::minutes(2));
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
}

TEST_CASE("Pending is asked about again, by its own word, with what it left") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->next(Step::pend);
  services.ca->next(Step::pend);
  services.run_jobs();
  CHECK(services.issuances(order.order.id).front().poll == "p");
  services.advance(std::chrono::seconds(29));
  services.run_jobs();
  CHECK(services.ca->calls().size() == 1);
  services.advance(std::chrono::seconds(1));
  services.run_jobs();
  CHECK(services.ca->calls().size() == 2);
  CHECK(services.issuances(order.order.id).front().poll == "pp");
  services.advance(std::chrono::seconds(30));
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
  CHECK(services.ca->calls().back().resumed);
}

TEST_CASE("Refused is the order's error") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->next(Step::refuse);
  services.run_jobs();
  const auto view = services.show(account, order);
  CHECK(view.status == OrderStatus::invalid);
  REQUIRE(view.order.error);
  CHECK(view.order.error->type == ProblemType::rejectedIdentifier);
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::refused});
  CHECK_FALSE(services.has_job(order.order.id));
}

TEST_CASE("InDoubt parks the job with an alarm; the operator's word asks again, never anew") {
  std::vector<std::string> errors;
  TestServices services({.repeatable = false, .log = [&](LogLevel level, std::string_view line) {
                           if (level == LogLevel::error) errors.emplace_back(line);
                         }});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->next(Step::doubt);
  services.run_jobs();
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::in_doubt});
  CHECK(services.show(account, order).status == OrderStatus::processing);
  REQUIRE(services.parked().size() == 1);
  CHECK(services.parked().front().subject == order.order.id.str());
  REQUIRE(errors.size() == 1);
  CHECK(errors.front().find("certificate.in_doubt") != std::string::npos);
  services.advance(std::chrono::hours(24));
  services.run_jobs();
  CHECK(services.ca->calls().size() == 1);
  services.store->write([&](store::Tx& tx) {
    tx.jobs().unpark(store::JobKind::issue_certificate, order.order.id.str(), tx.job_now());
  });
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::valid);
  CHECK(services.ca->calls().back().resumed);
}

TEST_CASE("a CA that records by itself is in doubt when it has failed too often") {
  TestServices services({.repeatable = false});
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->always(Step::fail);
  for (int i = 0; i < 3 * service::IssuanceJob::kFailuresBeforeDoubt; ++i) {
    services.run_jobs();
    services.advance(std::chrono::minutes(7));
  }
  CHECK(services.ca->calls().size() == service::IssuanceJob::kFailuresBeforeDoubt);
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::in_doubt});
  CHECK(services.parked().size() == 1);
}

TEST_CASE(
    "a repeatable CA is never in doubt: it is asked until the certificate would have expired") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->always(Step::fail);
  for (int i = 0; i < 30; ++i) {
    services.run_jobs();
    services.advance(std::chrono::hours(24));
  }
  CHECK(services.parked().empty());
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::submitted});
  CHECK(services.ca->calls().size() == 30);
  SUBCASE("it comes back") {
    services.ca->always(Step::issue);
    services.run_jobs();
    CHECK(services.show(account, order).status == OrderStatus::valid);
    CHECK(services.issuances(order.order.id).size() == 1);
  }
  SUBCASE("it does not") {
    services.advance(std::chrono::hours(24 * 61));
    services.run_jobs();
    CHECK(services.show(account, order).status == OrderStatus::invalid);
    CHECK_FALSE(services.has_job(order.order.id));
  }
}

// Of a CA elsewhere: remote_backend_test.cc.
TEST_CASE("what our own key signs and nobody asked for is never recorded, and the job is parked") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->tamper(
      [](crypto::CertificateTemplate& leaf) { leaf.dns_names.push_back("b.test"); });
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::processing);
  CHECK(states_of(services, order.order.id) == std::vector{IssuanceState::submitted});
  CHECK(services.parked().size() == 1);
  CHECK(services.store->read([](store::Tx& tx) { return tx.certificates().list({}, 10); }).empty());
  CHECK(services.audit_kinds(order.order.id).back() == "certificate.wrong");
}

TEST_CASE("what a CA chooses by itself is recorded as its certificate says it") {
  TestServices services;
  const Account account = services.new_account();
  services.ca->expect([](backends::CertificateExpectation& expected) {
    const Instant end = latest_end_of(expected);
    expected.serial = backends::CaChooses();
    expected.issuer = backends::CaChooses();
    expected.crl_url = backends::CaChooses();
    expected.not_before = backends::CaChooses();
    expected.not_after = backends::Range<Instant>{end - std::chrono::hours(24), end};
  });
  services.ca->tamper([](crypto::CertificateTemplate& leaf) {
    leaf.serial = {0x12, 0x34};
    leaf.not_after -= std::chrono::hours(1);
    leaf.crl_url = "http://ca.test/its.crl";
  });
  const auto order = services.processing_order(account, {"a.test"});
  services.run_jobs();
  const auto view = services.show(account, order);
  REQUIRE(view.status == OrderStatus::valid);
  const store::Issuance issuance = services.issuances(order.order.id).front();
  CHECK(issuance.serial.empty());
  CHECK(issuance.issuer.empty());
  const CertificateRecord record = certificate_of(services, view);
  CHECK(record.serial == "1234");
  CHECK(record.issuer == services.ca->issuer().id);
  CHECK(record.crl_url == "http://ca.test/its.crl");
  CHECK(record.not_after == issuance.not_after - std::chrono::hours(1));
}

TEST_CASE("a certificate outside the bounds of its intent is not recorded") {
  TestServices services;
  const Account account = services.new_account();
  services.ca->expect([](backends::CertificateExpectation& expected) {
    const Instant end = latest_end_of(expected);
    expected.not_after = backends::Range<Instant>{end - std::chrono::hours(24), end};
  });
  services.ca->tamper(
      [](crypto::CertificateTemplate& leaf) { leaf.not_after += std::chrono::seconds(1); });
  const auto order = services.processing_order(account, {"a.test"});
  services.run_jobs();
  CHECK(services.show(account, order).status == OrderStatus::processing);
  CHECK(services.audit_kinds(order.order.id).back() == "certificate.wrong");
}

TEST_CASE("a job whose lease was lost writes nothing") {
  TestServices services;
  const Account account = services.new_account();
  const auto order = services.processing_order(account, {"a.test"});
  services.ca->on_call([&](const ScriptedBackend::Call& call) {
    if (call.resumed) return;
    // While the backend works, the lease runs out and another worker takes the job and finishes it.
    services.advance(std::chrono::minutes(5));
    CHECK(services.run_due_once() == 1);
  });
  services.run_jobs();
  const auto view = services.show(account, order);
  CHECK(view.status == OrderStatus::valid);
  CHECK(services.store->read([](store::Tx& tx) { return tx.certificates().list({}, 10); }).size() ==
        1);
  CHECK(services.ca->signed_certificates() == 1);
  CHECK_FALSE(services.has_job(order.order.id));
}

}  // namespace
}  // namespace gatehouse
