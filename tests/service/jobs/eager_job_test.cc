#include "acme-server/service/jobs/eager_job.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/support/stepped_executor.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using service::JobRunner;
using store::IssuanceState;
using store::JobKind;
using testing::TestKey;
using testing::TestServices;

struct Fixture {
  TestServices services;
  testing::SteppedExecutor& lane = services.lane;
  const Account account = services.new_account();

  service::OrderView new_order() { return services.new_order(account, {"a.test"}); }

  service::OrderView ready_order() {
    const service::OrderView view = new_order();
    services.respond(account, view);
    lane.run();
    return services.show(account, view);
  }

  service::OrderView finalize(const service::OrderView& view) {
    return services.orders().finalize(account, view.order.id, TestKey().csr({"a.test"})).value();
  }

  bool leased(JobKind kind, const std::string& subject) {
    return services.store->read(
        [&](store::Tx& tx) { return tx.jobs().find(kind, subject).value().leased; });
  }

  IssuanceState state_of(const service::OrderView& view) {
    return services.issuances(view.order.id).front().state;
  }
};

TEST_CASE("jobs begin with their COMMIT, and nobody claims them") {
  Fixture f;
  const service::OrderView created = f.new_order();
  f.services.respond(f.account, created);
  CHECK(f.lane.waiting() == 1);
  CHECK(f.services.runner().run_due_once() == 0);
  f.lane.run();
  CHECK(f.services.show(f.account, created).status == OrderStatus::ready);

  const service::OrderView finalized = f.finalize(created);
  CHECK(finalized.status == OrderStatus::processing);
  // The mark is durable before anything is signed.
  CHECK(f.state_of(finalized) == IssuanceState::submitted);
  CHECK(f.services.ca->calls().empty());
  CHECK(f.leased(JobKind::issue_certificate, finalized.order.id.str()));
  CHECK(f.services.runner().run_due_once() == 0);
  f.lane.run();
  CHECK(f.services.show(f.account, finalized).status == OrderStatus::valid);
  CHECK(f.services.ca->calls().size() == 1);
  CHECK_FALSE(f.services.has_job(finalized.order.id));
  CHECK(f.services.audit_kinds(finalized.order.id) ==
        std::vector<std::string>{"order.created", "order.finalized", "certificate.intent",
                                 "certificate.submitted", "certificate.issued", "order.valid"});
}

TEST_CASE("a lane without room leaves the job to the scheduler, and the intent unmarked") {
  Fixture f;
  const service::OrderView ready = f.ready_order();
  f.lane.set_places(0);
  const service::OrderView finalized = f.finalize(ready);
  CHECK(f.lane.waiting() == 0);
  CHECK(f.state_of(finalized) == IssuanceState::prepared);
  f.lane.set_places(1);
  CHECK(f.services.runner().run_due_once() == 1);
  f.lane.run();
  CHECK(f.services.show(f.account, finalized).status == OrderStatus::valid);
}

TEST_CASE("a lane that has filled up by the COMMIT gives the job back") {
  Fixture f;
  const service::OrderView ready = f.ready_order();
  f.lane.set_full(true);
  const service::OrderView finalized = f.finalize(ready);
  CHECK_FALSE(f.leased(JobKind::issue_certificate, finalized.order.id.str()));
  f.lane.set_full(false);
  CHECK(f.services.runner().run_due_once() == 1);
  f.lane.run();
  CHECK(f.services.show(f.account, finalized).status == OrderStatus::valid);
  CHECK(f.services.ca->calls().size() == 1);
}

TEST_CASE("a crash behind the COMMIT leaves a job that the next start runs") {
  Fixture f;
  const service::OrderView ready = f.ready_order();
  const service::OrderView finalized = f.finalize(ready);
  f.services.restart();  // what was posted is gone with the process
  f.services.run_jobs();
  CHECK(f.services.show(f.account, finalized).status == OrderStatus::valid);
  CHECK(f.services.ca->calls().size() == 1);
}

TEST_CASE("an intent is not marked ahead while issuance is stopped or CAA is to be asked again") {
  Fixture f;
  const service::OrderView first = f.ready_order();
  f.services.stops().stop("drill", OperatorByUid{0});
  const service::OrderView stopped = f.finalize(first);
  CHECK(f.state_of(stopped) == IssuanceState::prepared);
  f.services.stops().resume(service::IssuanceStops::AcceptClock::no, OperatorByUid{0});

  const service::OrderView second = f.ready_order();
  f.services.advance(std::chrono::hours(9));
  const service::OrderView late = f.finalize(second);
  CHECK(f.state_of(late) == IssuanceState::prepared);
  f.lane.run();
  CHECK(f.services.show(f.account, late).status == OrderStatus::valid);
}

TEST_CASE(
    "a run that begins when its lease has ended submits nothing that another run has taken up") {
  for (const std::size_t first : {std::size_t{0}, std::size_t{1}}) {
    CAPTURE(first);
    Fixture f;
    const service::OrderView finalized = f.finalize(f.ready_order());
    f.services.advance(JobRunner::kLease);
    CHECK(f.services.runner().run_due_once() == 1);
    REQUIRE(f.lane.waiting() == 2);
    f.lane.set_choose([&](std::size_t waiting) { return std::min(first, waiting - 1); });
    f.lane.run();
    CHECK(f.services.show(f.account, finalized).status == OrderStatus::valid);
    REQUIRE(f.services.ca->calls().size() == 1);
    CHECK(f.services.ca->calls().front().resumed);
  }
}

TEST_CASE("an intent that was marked before a stop is still signed") {
  Fixture f;
  const service::OrderView finalized = f.finalize(f.ready_order());
  REQUIRE(f.state_of(finalized) == IssuanceState::submitted);
  f.services.operator_stop().begin("drill", OperatorByUid{0});
  f.lane.run();
  CHECK(f.services.show(f.account, finalized).status == OrderStatus::valid);
}

TEST_CASE("a policy that comes while an order is finalized is held against its intent by the run") {
  for (const bool keys_refused : {false, true}) {
    CAPTURE(keys_refused);
    Fixture f;
    const service::OrderView ready = f.ready_order();
    f.services.ca->on_prepare([&] {
      service::Directory directory = TestServices::default_directory();
      if (keys_refused) directory.certificate_keys.allowed = {crypto::KeyType::rsa};
      f.services.use(directory);
    });
    const service::OrderView finalized = f.finalize(ready);
    CHECK(f.state_of(finalized) == IssuanceState::prepared);
    CHECK(f.lane.waiting() == 1);
    f.services.ca->on_prepare(nullptr);
    f.lane.run();
    const service::OrderView ended = f.services.show(f.account, finalized);
    CHECK(ended.status == (keys_refused ? OrderStatus::invalid : OrderStatus::valid));
    CHECK(f.services.ca->signed_certificates() == (keys_refused ? 0 : 1));
  }
}

TEST_CASE("a backend that cannot repeat itself has its intent marked by the run alone") {
  TestServices services({.repeatable = false});
  const Account account = services.new_account();
  const service::OrderView ready = services.ready_order(account, {"a.test"});
  const service::OrderView finalized =
      services.orders().finalize(account, ready.order.id, TestKey().csr({"a.test"})).value();
  CHECK(services.issuances(finalized.order.id).front().state == IssuanceState::prepared);
  CHECK(services.lane.waiting() == 1);
  services.lane.run();
  CHECK(services.show(account, finalized).status == OrderStatus::valid);
}

}  // namespace
}  // namespace gatehouse
