#include "acme-server/service/jobs/lane_shares.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/support/stepped_executor.h"
#include "tests/support/test_database.h"

namespace gatehouse {
namespace {

using service::LaneShares;
using service::RunLength;
using store::DueJob;
using testing::kNoon;

AccountId account(std::size_t number) {
  return AccountId("account-" + std::to_string(number));
}

std::vector<DueJob> jobs_of(const AccountId& account, std::size_t count, bool cut_short = false) {
  std::vector<DueJob> jobs;
  for (std::size_t i = 0; i < count; ++i) {
    jobs.push_back({.id = account.str() + (cut_short ? " cut " : " ") + std::to_string(i),
                    .account = account,
                    .cut_short = cut_short,
                    .run_at = kNoon + std::chrono::seconds(i)});
  }
  return jobs;
}

// A lane of `places`, and accounts that take all they get of it.
struct Lane {
  explicit Lane(std::size_t places) { executor.set_places(places); }

  std::vector<RunLength> take_all(const AccountId& of) {
    std::vector<RunLength> taken;
    while (const auto length = shares.take(of)) taken.push_back(*length);
    return taken;
  }

  testing::SteppedExecutor executor;
  LaneShares shares{executor};
};

TEST_CASE("accounts that take all they can leave places for the next, up to as many as there are") {
  struct Row {
    std::size_t places, accounts, most_of_first;
  };

  for (const Row& row : {Row{32, 1, 16}, {32, 4, 16}, {4, 1, 2}, {8, 2, 4}, {2, 1, 2}}) {
    CAPTURE(row.places);
    CAPTURE(row.accounts);
    Lane lane(row.places);
    for (std::size_t i = 0; i < row.accounts; ++i) {
      const std::size_t taken = lane.take_all(account(i)).size();
      CHECK(taken >= 1);
      CHECK(taken <= row.most_of_first);
    }
    if (row.places > 2) CHECK(lane.shares.has_room(account(99)));
  }
}

TEST_CASE(
    "only half of the places are for full runs, so that what hangs does not hold the others") {
  Lane lane(32);
  std::size_t full = 0, brief = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    for (const RunLength length : lane.take_all(account(i))) {
      ++(length == RunLength::full ? full : brief);
    }
  }
  CHECK(full == 16);
  CHECK(brief == 16);
  CHECK_FALSE(lane.shares.has_room(account(100)));
}

TEST_CASE("a lane of one place gives full runs alone") {
  Lane lane(1);
  CHECK(lane.shares.take(account(1)) == RunLength::full);
  CHECK_FALSE(lane.shares.take(account(2)));
  lane.shares.give_back(account(1), RunLength::full);
  CHECK(lane.shares.take(account(2)) == RunLength::full);
}

TEST_CASE("places that come free go to the account with the fewest, however many others wait") {
  Lane lane(8);
  std::vector<DueJob> due = jobs_of(account(1), 100);
  const std::vector<LaneShares::Turn> alone = lane.shares.take_turns(due, 8);
  CHECK(alone.size() == 4);
  due.erase(due.begin(), due.begin() + 4);
  for (std::size_t i = 2; i < 5; ++i) {
    const auto more = jobs_of(account(i), 100);
    due.insert(due.end(), more.begin(), more.end());
  }
  for (const LaneShares::Turn& turn : lane.shares.take_turns(due, 8)) {
    CHECK(turn.job.account != account(1));
  }
  const auto late = jobs_of(account(9), 1);
  due.insert(due.end(), late.begin(), late.end());
  for (const LaneShares::Turn& turn : alone) {
    lane.shares.give_back(turn.job.account, turn.length);
  }
  const std::vector<LaneShares::Turn> next = lane.shares.take_turns(due, 1);
  REQUIRE(next.size() == 1);
  CHECK((next.front().job.account == account(9) || next.front().job.account == account(1)));
}

TEST_CASE("accounts take turns: each once before anyone twice, whoever has waited for longest") {
  Lane lane(1);
  std::vector<DueJob> due;
  for (std::size_t i = 0; i < 5; ++i) {
    for (DueJob job : jobs_of(account(i), 5)) {
      job.run_at += std::chrono::hours(i);
      due.push_back(job);
    }
  }
  std::vector<std::string> order;
  while (!due.empty()) {
    const auto turns = lane.shares.take_turns(due, 1);
    REQUIRE(turns.size() == 1);
    order.push_back(turns.front().job.id);
    std::erase_if(due, [&](const DueJob& job) { return job.id == turns.front().job.id; });
    lane.shares.give_back(turns.front().job.account, turns.front().length);
  }
  for (std::size_t round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(order.at(round * 5 + i) == account(i).str() + " " + std::to_string(round));
    }
  }
}

TEST_CASE("a job that was cut short comes first, and waits for a full run") {
  Lane lane(4);
  std::vector<DueJob> due = jobs_of(account(1), 3, true);
  const auto fresh = jobs_of(account(1), 3);
  due.insert(due.end(), fresh.begin(), fresh.end());
  const auto turns = lane.shares.take_turns(due, 4);
  REQUIRE(turns.size() == 2);
  CHECK(turns[0].job.id == "account-1 cut 0");
  CHECK(turns[0].length == RunLength::full);
  CHECK(turns[1].job.id == "account-1 0");
  CHECK(turns[1].length == RunLength::brief);
  CHECK(lane.shares.take_turns(jobs_of(account(1), 3, true), 4).empty());
}

TEST_CASE("the server's own work is bound by no share") {
  Lane lane(2);
  CHECK(lane.shares.take_turns(jobs_of(AccountId(), 9), 9).size() == 9);
  CHECK(lane.take_all(account(1)).size() == 2);
  CHECK(lane.shares.has_room(AccountId()));
}

TEST_CASE("accounts that hold nothing are forgotten when there are many, those that do are not") {
  Lane lane(32);
  REQUIRE(lane.shares.take(account(0)) == RunLength::full);
  for (std::size_t i = 1; i < 10000; ++i) {
    const auto length = lane.shares.take(account(i));
    REQUIRE(length);
    lane.shares.give_back(account(i), *length);
  }
  lane.shares.give_back(account(0), RunLength::full);
}

}  // namespace
}  // namespace gatehouse
