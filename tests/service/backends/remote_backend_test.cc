// The contract of every backend that asks a CA elsewhere: what the CA says, true or not, through
// the real jobs.
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/service/operations/order_diagnosis.h"
#include "tests/support/remote_ca.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using store::IssuanceState;
using testing::EstRemoteCa;
using testing::ExecRemoteCa;
using testing::RemoteCa;
using testing::Says;
using testing::ScriptedRemoteCa;
using testing::TestKey;
using testing::TestServices;

// A backend, its CA and the services around it.
struct World {
  World(std::unique_ptr<RemoteCa> given, bool resumes)
      : ca(std::move(given)),
        services({.backend =
                      [&](Entropy& entropy, Clock& clock, Log& log) {
                        // What a program of others signs has the date of the day.
                        dynamic_cast<testing::ManualClock&>(clock).set(SystemClock().now());
                        return ca->backend(entropy, clock, log, resumes);
                      }}),
        account(services.new_account()) {}

  service::OrderView finalized() {
    return services.processing_order(account, {"a.test", "b.test"});
  }

  service::OrderView ended() {
    const auto order = finalized();
    services.run_jobs();
    return services.show(account, order);
  }

  service::OrderView show(const service::OrderView& order) { return services.show(account, order); }

  IssuanceState state_of(const service::OrderView& order) {
    return services.issuances(order.order.id).back().state;
  }

  std::optional<service::BackendStop> stop() {
    return services.store->read([](store::Tx& tx) { return service::backend_stop(tx, "local"); });
  }

  // Whether `gatehouse order show` says it among its reasons.
  bool tells(const service::OrderView& order, const std::string& sentence) {
    service::Inventory inventory(services.context());
    const auto why = service::explain(inventory.order(order.order.id).value(), SystemClock().now());
    return std::ranges::find(why, sentence) != why.end();
  }

  std::vector<store::AuditRow> events_of(const service::OrderView& order) {
    return services.store->read([&](store::Tx& tx) { return tx.audit().of_order(order.order.id); });
  }

  std::unique_ptr<RemoteCa> ca;
  TestServices services;
  Account account;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<RemoteCa>()> make;
  bool resumes = true;  // a lost answer may be asked for again
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"scripted", [] { return std::make_unique<ScriptedRemoteCa>(); }},
      {"exec", [] { return std::make_unique<ExecRemoteCa>(); }},
      {"est", [] { return std::make_unique<EstRemoteCa>(); }, false},
  };
  return all;
}

TEST_CASE("an order gets the certificate that a CA elsewhere has issued for it") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    World world(kind.make(), false);
    const auto order = world.ended();
    REQUIRE(order.status == OrderStatus::valid);
    CHECK(world.ca->issued() == 1);
    // A second one for the same names is another certificate.
    CHECK(world.ended().status == OrderStatus::valid);
    CHECK(world.ca->issued() == 2);
  }
}

TEST_CASE("a CA that waits is asked again about the same request, also after a restart") {
  for (const Kind& kind : kinds()) {
    for (const bool granted : {true, false}) {
      CAPTURE(kind.name);
      CAPTURE(granted);
      World world(kind.make(), false);
      world.ca->says(Says::pend);
      const auto order = world.ended();
      CHECK(order.status == OrderStatus::processing);
      world.services.restart();
      world.services.advance(std::chrono::minutes(1));
      world.services.run_jobs();
      CHECK(world.show(order).status == OrderStatus::processing);
      world.ca->says(granted ? Says::issue : Says::refuse);
      world.services.advance(std::chrono::minutes(10));
      world.services.run_jobs();
      CHECK(world.show(order).status == (granted ? OrderStatus::valid : OrderStatus::invalid));
      CHECK(world.ca->submitted() == 1);
      CHECK(world.services.issuances(order.order.id).size() == 1);
    }
  }
}

TEST_CASE("a CA's refusal fails the order, and its words are kept") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    World world(kind.make(), false);
    world.ca->says(Says::refuse);
    const auto order = world.ended();
    CHECK(order.status == OrderStatus::invalid);
    CHECK(world.state_of(order) == IssuanceState::refused);
    CHECK(world.ca->issued() == 0);
    CHECK_FALSE(world.stop());
  }
}

TEST_CASE("the reason for a refusal is the operator's, and the client's where the config says so") {
  for (const bool forwarded : {false, true}) {
    CAPTURE(forwarded);
    auto ca = std::make_unique<ExecRemoteCa>();
    ca->more = {{"forward_ca_errors", forwarded}};
    World world(std::move(ca), false);
    world.ca->says(Says::refuse);
    const auto order = world.ended();
    REQUIRE(order.order.error);
    const std::string& told = order.order.error->detail;
    CHECK((told.find("not in our zone") != std::string::npos) == forwarded);
    CHECK(told.find("policy 17") == std::string::npos);
    const auto events = world.events_of(order);
    const auto refused = std::ranges::find(events, "certificate.refused",
                                           [](const auto& each) { return each.event.kind; });
    REQUIRE(refused != events.end());
    CHECK(refused->event.details["answer"] == "not in our zone; policy 17 says no");
    CHECK(world.tells(order, "The CA said: not in our zone; policy 17 says no"));
  }
}

TEST_CASE("a request that was not sent is sent again with the same intent, and is issued once") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    World world(kind.make(), false);
    world.ca->says(Says::not_sent);
    const auto order = world.ended();
    CHECK(order.status == OrderStatus::processing);
    CHECK(world.state_of(order) == IssuanceState::prepared);
    world.ca->says(Says::issue);
    world.services.advance(std::chrono::minutes(5));
    world.services.run_jobs();
    CHECK(world.show(order).status == OrderStatus::valid);
    CHECK(world.services.issuances(order.order.id).size() == 1);
    CHECK(world.ca->issued() == 1);
  }
}

TEST_CASE("a lost answer is asked for again where the CA can tell, else it is in doubt") {
  for (const Kind& kind : kinds()) {
    for (const bool resumes : {true, false}) {
      if (resumes && !kind.resumes) continue;
      CAPTURE(kind.name);
      CAPTURE(resumes);
      World world(kind.make(), resumes);
      world.ca->says(Says::lose_answer);
      const auto order = world.ended();
      world.services.advance(std::chrono::minutes(5));
      world.services.run_jobs();
      CHECK(world.ca->submitted() == 1);
      if (resumes) {
        CHECK(world.show(order).status == OrderStatus::valid);
        CHECK(world.ca->issued() == 1);
        continue;
      }
      CHECK(world.show(order).status == OrderStatus::processing);
      CHECK(world.state_of(order) == IssuanceState::in_doubt);
      REQUIRE(world.services.parked().size() == 1);
    }
  }
}

TEST_CASE("the first wrong certificate fails its order, is kept, and stops its backend for good") {
  struct Row {
    Says says;
    std::string why;
    // Of a CA that can revoke; nothing: it is revoked.
    std::string why_not_revoked = {};
  };

  const Row rows[] = {
      {Says::other_key, "key", "a key that nobody sent"},
      {Says::name_dropped, "its names are not exactly those of the order"},
      {Says::name_added, "its names are not exactly those of the order"},
      {Says::other_issuer, "issuer", "no CA of this backend has signed it"},
      {Says::too_long, "it is valid for"},
      {Says::too_short, "notAfter"},
      {Says::begins_tomorrow, "more than five minutes from now"},
      {Says::extra_usage, "extended key usages"},
      {Says::missing_usage, "extended key usages"},
      {Says::given_before, "", "a key that nobody sent"},
  };
  for (const Kind& kind : kinds()) {
    for (const Row& row : rows) {
      CAPTURE(kind.name);
      CAPTURE(static_cast<int>(row.says));
      World world(kind.make(), false);
      REQUIRE(world.ended().status == OrderStatus::valid);
      world.ca->says(row.says);
      const auto order = world.ended();
      REQUIRE(order.status == OrderStatus::invalid);
      CHECK(world.state_of(order) == IssuanceState::refused);
      CHECK_FALSE(order.order.certificate);
      const auto stop = world.stop();
      REQUIRE(stop);
      CHECK(stop->order == order.order.id);
      CHECK_MESSAGE(stop->why.find(row.why) != std::string::npos, stop->why);
      const auto events = world.events_of(order);
      const auto wrong = std::ranges::find(events, "certificate.wrong",
                                           [](const auto& each) { return each.event.kind; });
      REQUIRE(wrong != events.end());
      const Json kept = wrong->event.details["certificate_pem"];
      CHECK(kept.get<std::string>().starts_with("-----BEGIN CERTIFICATE-----"));
      const std::string revocation = wrong->event.details["revocation"].get<std::string>();
      CHECK(world.tells(order, stop->why + " " + revocation));
      if (world.ca->revokes()) {
        CHECK(world.ca->revoked() == (row.why_not_revoked.empty() ? 1 : 0));
        CHECK_MESSAGE(
            revocation.find(row.why_not_revoked.empty() ? "It is revoked: serial "
                                                        : row.why_not_revoked) != std::string::npos,
            revocation);
      } else {
        CHECK_MESSAGE(revocation.starts_with("It is not revoked"), revocation);
      }

      // No other order is sent, a restart forgets nothing, and an operator ends it.
      world.ca->says(Says::issue);
      const std::size_t before = world.ca->submitted();
      const auto next = world.ended();
      world.services.restart();
      world.services.advance(std::chrono::minutes(2));
      world.services.run_jobs();
      CHECK(world.show(next).status == OrderStatus::processing);
      CHECK(world.ca->submitted() == before);
      CHECK(service::resume_backend(world.services.context(), "local", OperatorByUid{0}));
      CHECK_FALSE(service::resume_backend(world.services.context(), "local", OperatorByUid{0}));
      world.services.advance(std::chrono::minutes(2));
      world.services.run_jobs();
      CHECK(world.show(next).status == OrderStatus::valid);
    }
  }
}

TEST_CASE("a wrong certificate that another order has is not revoked") {
  World world(std::make_unique<ScriptedRemoteCa>(), false);
  REQUIRE(world.ended().status == OrderStatus::valid);
  world.ca->says(Says::given_before);
  const auto events = world.events_of(world.ended());
  const auto wrong = std::ranges::find(events, "certificate.wrong",
                                       [](const auto& each) { return each.event.kind; });
  REQUIRE(wrong != events.end());
  CHECK(wrong->event.details["revocation"] ==
        "It is not revoked, since it is the certificate of an earlier order.");
}

TEST_CASE("a wrong certificate stays on record when its CA does not take the revocation") {
  auto ca = std::make_unique<ExecRemoteCa>();
  ca->more = {{"revokes", false}};
  World world(std::move(ca), false);
  world.ca->says(Says::name_added);
  const auto order = world.ended();
  CHECK(order.status == OrderStatus::invalid);
  CHECK(world.stop());
  const auto events = world.events_of(order);
  const auto wrong = std::ranges::find(events, "certificate.wrong",
                                       [](const auto& each) { return each.event.kind; });
  REQUIRE(wrong != events.end());
  const std::string revocation = wrong->event.details["revocation"].get<std::string>();
  CHECK_MESSAGE(revocation.starts_with("It is not revoked: backend local cannot revoke"),
                revocation);
}

TEST_CASE("what was sent before its backend stopped is asked about when it goes on") {
  World world(std::make_unique<ScriptedRemoteCa>(), false);
  world.ca->says(Says::pend);
  const auto waiting = world.ended();
  world.ca->says(Says::other_key);
  REQUIRE(world.ended().status == OrderStatus::invalid);
  world.ca->says(Says::issue);
  world.services.advance(std::chrono::minutes(2));
  world.services.run_jobs();
  CHECK(world.show(waiting).status == OrderStatus::processing);
  REQUIRE(service::resume_backend(world.services.context(), "local", OperatorByUid{0}));
  world.services.advance(std::chrono::minutes(2));
  world.services.run_jobs();
  CHECK(world.show(waiting).status == OrderStatus::valid);
}

}  // namespace
}  // namespace gatehouse
