// How operators end a doubt, and how they try out a backend that is stopped.
#include "acme-server/service/issuance/doubt.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/backends/trial.h"
#include "tests/support/remote_ca.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using store::IssuanceState;
using testing::ExecRemoteCa;
using testing::rejection_of;
using testing::Says;
using testing::TestServices;

struct World {
  World() : account(services.new_account()) {}

  service::OrderView order() {
    const auto order = services.processing_order(account, {"a.test", "b.test"});
    services.run_jobs();
    return services.show(account, order);
  }

  service::OrderView in_doubt() {
    ca.says(Says::lose_answer);
    const auto made = order();
    REQUIRE(services.issuances(made.order.id).back().state == IssuanceState::in_doubt);
    // How the program ended is what an operator begins with.
    REQUIRE(services.parked().back().note.find("signal 9") != std::string::npos);
    return made;
  }

  // What the CA has issued last, by its own books, with the CA's certificate.
  std::string issued() const {
    std::filesystem::directory_entry newest;
    for (const auto& each : std::filesystem::directory_iterator(ca.path("ca/newcerts"))) {
      if (!newest.exists() || each.last_write_time() > newest.last_write_time()) newest = each;
    }
    return read_file(newest.path().string()) + read_file(ca.path("ca/ca.pem"));
  }

  service::OrderView show(const service::OrderView& view) { return services.show(account, view); }

  void adopt(const service::OrderView& view, const std::string& file) {
    service::adopt_certificate(services.context(), view.order.id, file, OperatorByUid{0});
  }

  void fail(const service::OrderView& view) {
    service::fail_order(services.context(), view.order.id, "nothing there", OperatorByUid{0});
  }

  bool has_event(const service::OrderView& view, const std::string& kind) {
    const auto kinds = services.audit_kinds(view.order.id);
    return std::ranges::find(kinds, kind) != kinds.end();
  }

  bool stopped() {
    return services.store->read([](store::Tx& tx) { return service::backend_stop(tx, "local"); })
        .has_value();
  }

  ExecRemoteCa ca;
  TestServices services{{.backend = [this](Entropy& entropy, Clock& clock, Log& log) {
    // What a program of others signs has the date of the day.
    dynamic_cast<testing::ManualClock&>(clock).set(SystemClock().now());
    return ca.backend(entropy, clock, log, false);
  }}};
  Account account;
};

TEST_CASE("a certificate that the CA has issued is adopted, after the checks of any other") {
  World world;
  const auto order = world.in_doubt();
  const std::string mine = world.issued();
  const auto other = world.in_doubt();
  const std::string others = world.issued();
  REQUIRE(mine != others);

  const Problem wrong = rejection_of([&] { world.adopt(order, others); });
  CHECK(wrong.detail.find("its key is not the CSR's") != std::string::npos);
  CHECK(rejection_of([&] { world.adopt(order, "no certificate"); }).type == ProblemType::malformed);
  CHECK(world.show(order).status == OrderStatus::processing);

  world.adopt(order, mine);
  CHECK(world.show(order).status == OrderStatus::valid);
  CHECK(world.services.issuances(order.order.id).back().state == IssuanceState::issued);
  CHECK(world.has_event(order, "order.adopted"));
  world.services.run_jobs();
  CHECK_FALSE(world.services.has_job(order.order.id));
  CHECK(rejection_of([&] { world.adopt(order, mine); }).status == 409);
  CHECK(rejection_of([&] { world.fail(order); }).status == 409);
  CHECK_FALSE(world.stopped());
  world.adopt(other, others);
  CHECK(world.show(other).status == OrderStatus::valid);
}

TEST_CASE("an order fails when an operator says that the CA has not issued") {
  World world;
  const auto order = world.in_doubt();
  world.fail(order);
  CHECK(world.show(order).status == OrderStatus::invalid);
  CHECK(world.services.issuances(order.order.id).back().state == IssuanceState::refused);
  CHECK(world.has_event(order, "order.failed"));
  world.services.run_jobs();
  CHECK_FALSE(world.services.has_job(order.order.id));
  CHECK(rejection_of([&] { world.adopt(order, world.issued()); }).status == 409);
  CHECK(rejection_of([&] {
          service::fail_order(world.services.context(), OrderId("none"), "x", OperatorByUid{0});
        }).status == 404);
}

TEST_CASE("an order that is not in doubt is neither failed nor adopted for") {
  World world;
  world.ca.says(Says::pend);
  const auto order = world.order();
  REQUIRE(order.status == OrderStatus::processing);
  CHECK(rejection_of([&] { world.fail(order); }).status == 409);
  CHECK(rejection_of([&] { world.adopt(order, ""); }).status == 409);
}

TEST_CASE("a trial is submitted to a stopped backend, and ends the stop when it is right") {
  World world;
  world.ca.says(Says::name_added);
  REQUIRE(world.order().status == OrderStatus::invalid);
  REQUIRE(world.stopped());
  const auto waiting = world.order();

  service::Context& context = world.services.context();
  const OrderId wrong = service::begin_trial(context, "local", "check.test", OperatorByUid{0});
  world.services.run_jobs();
  CHECK(world.stopped());
  CHECK(world.services.issuances(wrong).back().state == IssuanceState::refused);

  world.ca.says(Says::issue);
  const OrderId right = service::begin_trial(context, "local", "check.test", OperatorByUid{0});
  world.services.run_jobs();
  CHECK_FALSE(world.stopped());
  CHECK(world.services.issuances(right).back().state == IssuanceState::issued);
  world.services.advance(std::chrono::minutes(2));
  world.services.run_jobs();
  CHECK(world.show(waiting).status == OrderStatus::valid);
  CHECK(rejection_of([&] {
          service::begin_trial(context, "nowhere", "check.test", OperatorByUid{0});
        }).type == ProblemType::malformed);
}

}  // namespace
}  // namespace gatehouse
