#include "acme-server/service/operations/order_diagnosis.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/service/operations/inventory.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// What an operator is told of the order, in one text.
std::string told(TestServices& services, const OrderId& id) {
  service::Inventory inventory(services.context());
  const auto diagnosis = inventory.order(id);
  REQUIRE(diagnosis);
  std::string text;
  for (const std::string& sentence : service::explain(*diagnosis, services.context().clock.now())) {
    text += sentence + "\n";
  }
  return text;
}

bool has(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  CHECK_MESSAGE(found, part, " is not in: ", text);
  return found;
}

TEST_CASE("an order that waits for its client says for what, and until when") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.new_order(account, {"a.test", "*.b.test"});
  const std::string pending = told(services, view.order.id);
  has(pending, "a.test: waits for the client to say which challenge is ready (http-01, dns-01)");
  has(pending, "*.b.test: waits for the client to say which challenge is ready (dns-01)");
  const auto ready = services.ready_order(account, {"c.test"});
  has(told(services, ready.order.id), "waits for the client to finalize it, until ");
  services.advance(hours(24 * 30));
  const std::string expired = told(services, view.order.id);
  has(expired, "a.test: its authorization is expired since ");
}

TEST_CASE("an order that is stuck on a validator says what was said, and when it is tried again") {
  TestServices services;
  const Account account = services.new_account();
  services.http01->always(
      Problem{.type = ProblemType::dns, .detail = "No DNS server answered for a.test within 3 s"});
  const auto view = services.new_order(account, {"a.test"});
  services.lane.set_places(0);
  services.respond(account, view);
  has(told(services, view.order.id), "a.test: http-01 is being proven, 0 tries so far; the next");
  services.lane.set_places(1);
  services.run_due_once();
  const std::string once = told(services, view.order.id);
  has(once, "1 try so far; the next one at ");
  has(once, "the last one said: No DNS server answered for a.test within 3 s (dns)");
  for (int i = 0; i < 5; ++i) {
    services.advance(seconds(60));
    services.run_jobs();
  }
  const std::string lost = told(services, view.order.id);
  has(lost, "a.test: its authorization is invalid; http-01 failed after 3 tries: No DNS server");
}

TEST_CASE("an order whose CA failed says when it is asked again, one that it refused why") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.prepared_order(account, {"a.test"});
  has(told(services, view.order.id), "The CA is asked at ");
  services.ca->next(ScriptedBackend::Step::fail);
  services.run_jobs();
  has(told(services, view.order.id),
      "after 1 try that failed; the last error was: the scripted CA is down");
  services.advance(seconds(60));
  services.ca->next(ScriptedBackend::Step::refuse);
  services.run_jobs();
  has(told(services, view.order.id),
      "It has failed: The scripted CA refuses this order. (rejectedIdentifier)");
}

TEST_CASE("an order that waits says that issuance is stopped, by whom and why") {
  TestServices services;
  const Account account = services.new_account();
  const auto pending = services.new_order(account, {"a.test"});
  const auto prepared = services.prepared_order(account, {"b.test"});
  services.stops().stop("the key may be known", OperatorByUid{7});
  const std::string waits = told(services, prepared.order.id);
  CHECK(waits.starts_with("Issuance is stopped since "));
  has(waits, "(operator, by operator:7): the key may be known. Nothing is signed until it ends");
  const std::string unproven = told(services, pending.order.id);
  CHECK(unproven.starts_with("a.test: waits for the client"));
  has(unproven, "Issuance is stopped since ");
}

TEST_CASE("an order with its certificate names it, and its revocation") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.processing_order(account, {"a.test"});
  has(told(services, view.order.id), "The CA is being asked, until ");
  services.run_jobs();
  const auto done = services.show(account, view);
  REQUIRE(done.order.certificate);
  has(told(services, view.order.id), "Its certificate " + done.order.certificate->str());
  services.store->write([&](store::Tx& tx) {
    tx.certificates().revoke(*done.order.certificate, {.at = tx.now(), .reason = 4});
  });
  has(told(services, view.order.id), "The certificate was revoked at ");
}

TEST_CASE("an order in doubt waits for its operator, who resumes it on the record") {
  TestServices services({.repeatable = false});
  service::Inventory inventory(services.context());
  const Account account = services.new_account();
  const auto view = services.processing_order(account, {"a.test"});
  CHECK_FALSE(inventory.resume_order(view.order.id, OperatorByUid{0}));
  services.ca->next(ScriptedBackend::Step::doubt);
  services.run_jobs();
  REQUIRE(services.parked().size() == 1);
  const std::string parked = told(services, view.order.id);
  has(parked, "in doubt whether the CA has issued, and waits for an operator: Look for serial ");
  has(parked, "gatehouse order resume " + view.order.id.str());
  CHECK_FALSE(inventory.resume_order(OrderId("none"), OperatorByUid{0}));
  CHECK(inventory.resume_order(view.order.id, OperatorByUid{1000}));
  CHECK_FALSE(inventory.resume_order(view.order.id, OperatorByUid{1000}));
  CHECK(services.parked().empty());
  const auto diagnosis = inventory.order(view.order.id);
  CHECK(diagnosis->events.back().event.kind == "order.resumed");
  CHECK(to_string(diagnosis->events.back().event.actor) == "operator:1000");
}

// The kinds of the order's events, in their order.
std::vector<std::string> kinds_of(TestServices& services, const OrderId& id) {
  std::vector<std::string> kinds;
  service::Inventory inventory(services.context());
  const auto diagnosis = inventory.order(id);
  REQUIRE(diagnosis);
  std::int64_t last = 0;
  for (const store::AuditRow& row : diagnosis->events) {
    CHECK(row.sequence > last);
    last = row.sequence;
    kinds.push_back(row.event.kind);
  }
  return kinds;
}

TEST_CASE("an order's events are its own and those of its authorizations, no others'") {
  TestServices services;
  const Account account = services.new_account();
  const Account other = services.new_account();
  services.ready_order(other, {"a.test"});
  services.ready_order(account, {"other.test"});
  services.http01->always(Problem{.type = ProblemType::dns, .detail = "No DNS server answered"});
  const auto view = services.new_order(account, {"a.test"});
  services.respond(account, view);
  services.run_due_once();
  CHECK(kinds_of(services, view.order.id) ==
        std::vector<std::string>{"order.created", "authorization.challenge_ready",
                                 "authorization.attempt_failed"});
  services.http01->always(std::nullopt);
  services.advance(hours(1));
  services.run_jobs();
  services.ready_order(other, {"b.test"});
  const std::vector<std::string> kinds = kinds_of(services, view.order.id);
  CHECK(kinds.size() >= 4);
  CHECK(kinds.back() == "authorization.valid");
}

TEST_CASE("what an order relies on was proven before it was made, and is shown with it") {
  TestServices services;
  const Account account = services.new_account();
  services.ready_order(account, {"a.test"});
  services.advance(hours(1));
  const auto later = services.processing_order(account, {"a.test"});
  services.run_jobs();
  const std::vector<std::string> kinds = kinds_of(services, later.order.id);
  const auto at = [&](const char* kind) { return std::ranges::find(kinds, kind) - kinds.begin(); };
  CHECK(at("authorization.valid") < at("order.created"));
  CHECK(at("order.finalized") < at("certificate.issued"));
  CHECK(std::ranges::count(kinds, "authorization.valid") == 1);
  // What became of the authorization afterwards belongs to another order.
  services.advance(hours(1));
  services.processing_order(account, {"a.test"});
  services.run_jobs();
  CHECK(kinds_of(services, later.order.id) == kinds);
}

}  // namespace
}  // namespace gatehouse::testing
