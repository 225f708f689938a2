#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/service/issuance/csr_checks.h"
#include "acme-server/service/policy.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using testing::rejection_of;
using testing::TestKey;
using testing::TestServices;

// A CSR as OpenSSL makes it: subject and subjectAltName as they are given.
struct CsrText {
  std::vector<std::string> common_names;
  std::string alternative_names;  // OpenSSL's syntax; empty: no extension
  std::string email;              // in the subject
  bool ca = false;
};

Bytes make_csr(const CsrText& text) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> request(X509_REQ_new(), X509_REQ_free);
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  const auto add = [&](const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  };
  for (const std::string& name : text.common_names) add("CN", name);
  if (!text.email.empty()) add("emailAddress", text.email);
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  if (!text.alternative_names.empty()) {
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                                           text.alternative_names.c_str()));
  }
  if (text.ca) {
    sk_X509_EXTENSION_push(extensions,
                           X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "CA:TRUE"));
  }
  if (sk_X509_EXTENSION_num(extensions) > 0) X509_REQ_add_extensions(request.get(), extensions);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  X509_REQ_set_pubkey(request.get(), key.get());
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  REQUIRE(size > 0);
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

Order order_of(const std::vector<std::string>& names) {
  Order order;
  order.id = OrderId("o1");
  for (const std::string& name : names) order.identifiers.push_back(dns_identifier(name).value());
  return order;
}

TEST_CASE("a CSR names exactly what the order names") {
  struct Row {
    std::string name;
    CsrText csr;
    std::vector<std::string> ordered;
    std::string refusal;  // part of the sentence; empty: accepted
  };

  const Row rows[] = {
      {"SAN alone", {{}, "DNS:a.test", "", false}, {"a.test"}, ""},
      {"CN alone", {{"a.test"}, "", "", false}, {"a.test"}, ""},
      {"CN and SAN", {{"a.test"}, "DNS:b.test,DNS:a.test", "", false}, {"a.test", "b.test"}, ""},
      {"CN that is not in the SAN counts",
       {{"a.test"}, "DNS:b.test", "", false},
       {"a.test", "b.test"},
       ""},
      {"upper case is the same name", {{}, "DNS:A.TeSt", "", false}, {"a.test"}, ""},
      {"a name twice is one name", {{}, "DNS:a.test,DNS:a.test", "", false}, {"a.test"}, ""},
      {"duplicates do not make the counts match",
       {{}, "DNS:a.test,DNS:a.test", "", false},
       {"a.test", "b.test"},
       "does not ask for b.test"},
      {"an extra name",
       {{}, "DNS:a.test,DNS:b.test", "", false},
       {"a.test"},
       "asks for b.test (DNS name 2 of the subjectAltName), which is not in order"},
      {"a missing name",
       {{}, "DNS:a.test", "", false},
       {"a.test", "b.test"},
       "does not ask for b.test"},
      {"an extra CN",
       {{"c.test"}, "DNS:a.test", "", false},
       {"a.test"},
       "asks for c.test (the common name), which"},
      {"two CNs",
       {{"a.test", "b.test"}, "DNS:a.test,DNS:b.test", "", false},
       {"a.test", "b.test"},
       "at most one"},
      {"a CN that is no name",
       {{"My Server"}, "DNS:a.test", "", false},
       {"a.test"},
       "\"My Server\" (the common name), which is no name"},
      {"an address as CN alone",
       {{"192.0.2.1"}, "DNS:a.test", "", false},
       {"a.test"},
       "as its common name alone"},
      {"wildcard for base", {{}, "DNS:*.a.test", "", false}, {"a.test"}, "asks for *.a.test"},
      {"base for wildcard", {{}, "DNS:a.test", "", false}, {"*.a.test"}, "asks for a.test"},
      {"an address that was not ordered",
       {{}, "DNS:a.test,IP:192.0.2.1", "", false},
       {"a.test"},
       "asks for 192.0.2.1 (address 1 of the subjectAltName)"},
      {"a trailing dot",
       {{}, "DNS:b.test,DNS:a.test.", "", false},
       {"a.test", "b.test"},
       "\"a.test.\" (DNS name 2 of the subjectAltName), which is no name"},
      {"an e-mail SAN",
       {{}, "DNS:a.test,email:a@a.test", "", false},
       {"a.test"},
       "neither a DNS name"},
      {"a URI SAN",
       {{}, "DNS:a.test,URI:https://a.test", "", false},
       {"a.test"},
       "neither a DNS name"},
      {"no name at all", {{}, "", "", false}, {"a.test"}, "does not ask for a.test"},
      {"a name from the e-mail address is none",
       {{}, "", "x@a.test", false},
       {"a.test"},
       "does not ask for a.test"},
      {"CA:TRUE", {{}, "DNS:a.test", "", true}, {"a.test"}, "CA:TRUE"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Bytes der = make_csr(row.csr);
    const Problem problem = rejection_of([&] { service::check_csr(der, order_of(row.ordered)); });
    if (row.refusal.empty()) {
      CHECK(problem.detail == "nothing was rejected");
    } else {
      CHECK(problem.type == ProblemType::badCSR);
      CHECK(problem.detail.find(row.refusal) != std::string::npos);
    }
  }
}

TEST_CASE("bytes that are no CSR are badCSR") {
  Bytes trailing = make_csr({{}, "DNS:a.test", "", false});
  trailing.push_back(0);
  Bytes broken = make_csr({{}, "DNS:a.test", "", false});
  broken.back() ^= 1;
  for (const Bytes& der : {Bytes{}, Bytes{0x30, 0x00}, trailing, broken, Bytes(40'000, 0x30)}) {
    CHECK(rejection_of([&] { service::check_csr(der, order_of({"a.test"})); }).type ==
          ProblemType::badCSR);
  }
}

TEST_CASE("finalize refuses with orderNotReady (403) what is not ready, and leaves it as it was") {
  TestServices services;
  const Account account = services.new_account();
  const Bytes csr = TestKey().csr({"a.test"});

  struct Row {
    std::string name;
    std::function<service::OrderView()> make;
  };

  const Row rows[] = {
      {"pending", [&] { return services.new_order(account, {"pending.test"}); }},
      {"processing", [&] { return services.processing_order(account, {"processing.test"}); }},
      {"valid",
       [&] {
         const auto view = services.processing_order(account, {"valid.test"});
         services.run_jobs();
         return services.show(account, view);
       }},
      {"invalid",
       [&] {
         const auto view = services.ready_order(account, {"invalid.test"});
         services.authorizations().deactivate(account, view.order.authorizations.front());
         return services.show(account, view);
       }},
      {"expired",
       [&] {
         const auto view = services.ready_order(account, {"expired.test"});
         services.advance(std::chrono::hours(24 * 8));
         return services.show(account, view);
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const service::OrderView before = row.make();
    REQUIRE(before.status != OrderStatus::ready);
    const Problem problem =
        rejection_of([&] { services.orders().finalize(account, before.order.id, csr); });
    CHECK(problem.type == ProblemType::orderNotReady);
    CHECK(status_of(problem) == 403);
    CHECK(services.show(account, before).order == before.order);
  }
}

TEST_CASE("a bad CSR leaves the order ready for a good one") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  CHECK(rejection_of([&] {
          services.orders().finalize(account, ready.order.id, TestKey().csr({"b.test"}));
        }).type == ProblemType::badCSR);
  CHECK(services.show(account, ready).status == OrderStatus::ready);
  CHECK(services.issuances(ready.order.id).empty());
  const auto view = services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"}));
  REQUIRE(view);
  CHECK(view->status == OrderStatus::processing);
  CHECK(view->retry_after.has_value());
  services.run_jobs();
  CHECK(services.show(account, ready).status == OrderStatus::valid);
}

TEST_CASE("another account's order does not exist") {
  TestServices services;
  const Account owner = services.new_account();
  const Account other = services.new_account();
  const auto ready = services.ready_order(owner, {"a.test"});
  CHECK_FALSE(services.orders().finalize(other, ready.order.id, TestKey().csr({"a.test"})));
  CHECK_FALSE(services.orders().get(other, ready.order.id));
  CHECK_FALSE(services.authorizations().get(other, ready.order.authorizations.front()));
}

TEST_CASE("no account's key is certified, whatever its directory and status, and no blocked key") {
  TestServices services;
  const TestKey own, other, elsewhere, gone, blocked;
  const Account account = services.new_account(own);
  services.new_account(other);
  services.new_account(elsewhere, "another-directory");
  services.accounts().deactivate(services.new_account(gone));
  services.store->write(
      [&](store::Tx& tx) { tx.blocked_keys().add(blocked.sha256, tx.now(), "a test says so"); });
  const auto ready = services.ready_order(account, {"a.test"});
  for (const TestKey* key : {&own, &other, &elsewhere, &gone, &blocked}) {
    const Problem problem = rejection_of(
        [&] { services.orders().finalize(account, ready.order.id, key->csr({"a.test"})); });
    CHECK(problem.type == ProblemType::badCSR);
    CHECK(problem.detail.find("directory") == std::string::npos);
  }
  CHECK(services.show(account, ready).status == OrderStatus::ready);
}

TEST_CASE("a key that the profile or the key policy does not take is badCSR") {
  service::Directory rsa_only = TestServices::default_directory();
  rsa_only.profiles.at("default").key_types = {crypto::KeyType::rsa};
  service::Directory no_p256 = TestServices::default_directory();
  no_p256.certificate_keys.allowed = {crypto::KeyType::rsa};
  for (const service::Directory& directory : {rsa_only, no_p256}) {
    TestServices services({.directory = directory});
    const Account account = services.new_account();
    const auto ready = services.ready_order(account, {"a.test"});
    CHECK(rejection_of([&] {
            services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"}));
          }).type == ProblemType::badCSR);
  }
}

TEST_CASE("what was proven by a challenge type that is off by now proves nothing") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  service::Directory changed = TestServices::default_directory();
  changed.profiles.at("default").challenge_types = {"dns-01"};
  services.use(changed);
  const Problem problem = rejection_of(
      [&] { services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"})); });
  CHECK(problem.type == ProblemType::unauthorized);
  CHECK(status_of(problem) == 403);
  // Nor is it reused for a new order.
  CHECK(services.new_order(account, {"a.test"}).order.authorizations != ready.order.authorizations);
}

TEST_CASE("what the backend refuses outright is refused, and the order stays ready") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  services.ca->on_prepare([] { reject(ProblemType::rejectedIdentifier, "The CA ends too soon."); });
  CHECK(rejection_of([&] {
          services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"}));
        }).type == ProblemType::rejectedIdentifier);
  CHECK(services.show(account, ready).status == OrderStatus::ready);
}

TEST_CASE("a deactivated account does not finalize, even with a request that was under way") {
  TestServices services;
  const Account account = services.new_account();
  const auto ready = services.ready_order(account, {"a.test"});
  services.accounts().deactivate(account);
  const Problem problem = rejection_of(
      [&] { services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"})); });
  // The order has failed with its account.
  CHECK(problem.type == ProblemType::orderNotReady);
  CHECK(services.ca->calls().empty());
}

TEST_CASE("an authorization that is withdrawn while its order is finalized counts no more") {
  struct Row {
    std::string name;
    std::function<void(TestServices&, const Account&, const AuthorizationId&)> withdraw;
  };

  const Row rows[] = {
      {"deactivated by another request",
       [](TestServices& services, const Account& account, const AuthorizationId& id) {
         services.authorizations().deactivate(account, id);
       }},
      {"expired", [](TestServices& services, const Account&,
                     const AuthorizationId&) { services.advance(std::chrono::hours(1)); }},
  };
  // Before the order expires itself.
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").valid_authorization_lifetime = std::chrono::minutes(30);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TestServices services({.directory = directory});
    const Account account = services.new_account();
    const auto ready = services.ready_order(account, {"a.test", "b.test"});
    REQUIRE(ready.status == OrderStatus::ready);
    // The CA prepares the intent after finalize has read the order and before it writes.
    services.ca->on_prepare(
        [&] { row.withdraw(services, account, ready.order.authorizations.back()); });
    const Problem problem = rejection_of([&] {
      services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test", "b.test"}));
    });
    CHECK(problem.type == ProblemType::orderNotReady);
    CHECK(status_of(problem) == 403);
    CHECK(services.ca->prepared() == 1);
    services.run_jobs();
    CHECK_FALSE(services.show(account, ready).order.finalization.has_value());
    CHECK(services.issuances(ready.order.id).empty());
    CHECK(services.ca->calls().empty());
  }
}

TEST_CASE("finalization, intent, job and audit events are stored together") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.prepared_order(account, {"a.test"});
  const auto issuances = services.issuances(view.order.id);
  REQUIRE(issuances.size() == 1);
  CHECK(issuances.front().state == store::IssuanceState::prepared);
  CHECK(services.has_job(view.order.id));
  CHECK(services.audit_kinds(view.order.id) ==
        std::vector<std::string>{"order.created", "order.finalized", "certificate.intent"});
  CHECK(services.ca->calls().empty());
}

TEST_CASE("where there is room for the job, the intent's mark is stored with them") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.processing_order(account, {"a.test"});
  CHECK(services.issuances(view.order.id).front().state == store::IssuanceState::submitted);
  CHECK(services.has_job(view.order.id));
  CHECK(services.audit_kinds(view.order.id) ==
        std::vector<std::string>{"order.created", "order.finalized", "certificate.intent",
                                 "certificate.submitted"});
  CHECK(services.ca->calls().empty());
}

TEST_CASE("of 64 finalize requests at once exactly one is taken") {
  testing::TemporaryFolder folder;
  const std::unique_ptr<sql::Database> database = sql::open(testing::test_store_options(folder));
  WorkerPool writer({.name = "writer", .threads = 1, .queue_limit = 256});
  TestServices seed;  // its clocks, validators and CA; the store is ours, with a writer thread
  store::Store store(*database, writer, seed.store.clock, seed.store.job_clock, seed.context().log,
                     seed.store.metrics);
  testing::SteppedExecutor lane;
  testing::ServiceProcess process({.store = store,
                                   .clock = seed.store.clock,
                                   .job_clock = seed.store.job_clock,
                                   .entropy = seed.entropy,
                                   .log = seed.context().log,
                                   .metrics = seed.store.metrics,
                                   .policy = seed.policy,
                                   .validators = seed.context().validators,
                                   .caa = seed.context().caa,
                                   .backends = seed.context().backends,
                                   .stops = seed.stops(),
                                   .wake = [] {},
                                   .account_url = seed.context().account_url},
                                  lane);
  const Account account =
      process.accounts.find_or_create(DirectoryId("default"), TestKey().jwk, {.terms_agreed = true})
          .account;
  const auto order = process.orders.create(account, {.identifiers = {{"dns", "a.test"}}});
  const Authorization authorization =
      process.authorizations.get(account, order.order.authorizations.front()).value();
  process.challenges.respond(account, authorization.challenges.front().id);
  REQUIRE(lane.run() == 1);

  constexpr int kThreads = 64;
  std::vector<Bytes> csrs;
  for (int i = 0; i < kThreads; ++i) csrs.push_back(TestKey().csr({"a.test"}));
  std::atomic<int> taken = 0, refused = 0, other = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        try {
          process.orders.finalize(account, order.order.id, csrs[static_cast<std::size_t>(i)]);
          ++taken;
        } catch (const RequestRejected& rejected) {
          ++(rejected.problem().type == ProblemType::orderNotReady ? refused : other);
        } catch (const std::exception&) {
          ++other;
        }
      });
    }
  }
  CHECK(taken == 1);
  CHECK(refused == kThreads - 1);
  CHECK(other == 0);
  CHECK(lane.run() == 1);
  CHECK(process.orders.get(account, order.order.id)->status == OrderStatus::valid);
  CHECK(seed.ca->signed_certificates() == 1);
  CHECK(store.read([&](store::Tx& tx) { return tx.issuances().all_of(order.order.id); }).size() ==
        1);
}

}  // namespace
}  // namespace gatehouse
