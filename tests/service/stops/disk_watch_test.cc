#include "acme-server/service/stops/disk_watch.h"

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/support/faulty_database.h"
#include "tests/support/stops.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {

using service::StopReason;

TEST_CASE("too little room stops issuance before anything is signed, until there is more") {
  TestServices services;
  const Account account = services.new_account();
  const auto view = services.prepared_order(account, {"a.test"});
  services.free_space = TestServices::kFloor - 1;
  services.stops().look();
  CHECK(reasons(services) == std::vector{StopReason::disk});
  services.run_jobs();
  CHECK(services.ca->signed_certificates() == 0);
  CHECK(rejection_of([&] { services.new_order(account, {"n.test"}); }).status == 503);
  services.free_space = TestServices::kFloor;  // not every octet is worth a change of mind
  services.stops().look();
  CHECK(reasons(services) == std::vector{StopReason::disk});
  services.free_space = 2 * TestServices::kFloor;
  services.stops().look();
  CHECK(reasons(services).empty());
  services.run_jobs();
  CHECK(is_valid_order(services, account, view));
}

TEST_CASE("a write that failed for want of room stops issuance until one succeeds") {
  FaultPlan plan;
  TestServices services({.wrap = [&](std::unique_ptr<sql::Database> database) {
    return std::make_unique<FaultyDatabase>(std::move(database), plan);
  }});
  const Account account = services.new_account();
  services.disk_watch().write_failed();
  CHECK_FALSE(services.stops().may_begin());
  plan.set([](const CommitPoint&) { return Fault::fail_before; });
  services.stops().look();
  CHECK(reasons(services) == std::vector{StopReason::disk});
  plan.set({});
  services.stops().look();
  CHECK(reasons(services).empty());
  CHECK(services.new_order(account, {"n.test"}).status == OrderStatus::pending);
}

}  // namespace gatehouse::testing
