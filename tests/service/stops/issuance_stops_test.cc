#include "acme-server/service/stops/issuance_stops.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/faulty_database.h"
#include "tests/support/stops.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {

using service::IssuanceStops;
using service::StopReason;
using std::chrono::hours;
using std::chrono::seconds;

TEST_CASE("each stop keeps signing from going on, and tells why; the operator's is told first") {
  TestServices services;
  const auto why_stopped = [&] {
    return services.store->read([&](store::Tx& tx) { return services.stops().why_stopped(tx); });
  };
  CHECK(services.stops().may_issue());
  CHECK(why_stopped() == std::nullopt);
  CHECK(services.stops().retry_after(seconds(5)) == seconds(5));

  services.disk_watch().write_failed();
  CHECK(why_stopped() == "The database's disk takes no more.");
  services.uptime.set_clock_by(hours(1));
  CHECK(why_stopped()->starts_with("The clock says "));
  services.stops().stop("halt", kOperator);
  CHECK(why_stopped() == "halt");

  CHECK_FALSE(services.stops().may_issue());
  CHECK_FALSE(services.stops().may_begin());
  CHECK(services.stops().retry_after(seconds(5)) == IssuanceStops::kRetryAfter);
  CHECK(services.stops().retry_after(seconds(60)) == seconds(60));
  CHECK(reasons(services) ==
        std::vector{StopReason::by_operator, StopReason::clock, StopReason::disk});

  const auto resumed = services.stops().resume(IssuanceStops::AcceptClock::yes, kOperator);
  CHECK(reasons_of(resumed.ended) == std::vector{StopReason::by_operator, StopReason::clock});
  CHECK(reasons_of(resumed.remaining) == std::vector{StopReason::disk});
  services.stops().look();
  CHECK(services.stops().may_issue());
}

TEST_CASE("an operator's stop alone lets orders begin; a wrong clock does not, nor a full disk") {
  for (const StopReason reason : {StopReason::by_operator, StopReason::clock, StopReason::disk}) {
    CAPTURE(service::to_string(reason));
    TestServices services;
    if (reason == StopReason::by_operator) services.stops().stop("halt", kOperator);
    if (reason == StopReason::clock) services.uptime.set_clock_by(-hours(1));
    if (reason == StopReason::disk) services.disk_watch().write_failed();
    CHECK_FALSE(services.stops().may_issue());
    CHECK(services.stops().may_begin() == (reason == StopReason::by_operator));
    const Problem problem = rejection_of([&] { services.stops().check_can_begin(); });
    CHECK((problem.status == 503) == (reason != StopReason::by_operator));
  }
}

TEST_CASE("one watch that cannot write does not keep the next one from looking") {
  FaultPlan plan;
  TestServices services({.wrap = [&](std::unique_ptr<sql::Database> database) {
    return std::make_unique<FaultyDatabase>(std::move(database), plan);
  }});
  services.uptime.set_clock_by(hours(1));
  services.free_space = 0;
  plan.set([](const CommitPoint&) { return Fault::fail_before; });
  services.stops().look();  // the clock's stop is not stored, and yet
  CHECK(reasons(services) == std::vector{StopReason::clock, StopReason::disk});
  plan.set({});
  CHECK(audited(services).empty());
  services.stops().look();
  CHECK(audited(services) == std::vector<std::string>{"issuance.stopped clock server"});
}

}  // namespace gatehouse::testing
