// kill -9 under load, on disk, at every crash point and at random moments: what was acknowledged
// holds, what was signed is known, nothing is issued twice, nothing is lost.
//
// `make kill-test` runs the second case in large: GATEHOUSE_KILLS, GATEHOUSE_ORDERS, and
// GATEHOUSE_SEED to have the same kills again.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/restart/stage.h"

namespace gatehouse::testing {
namespace {

// Dies at `crash`, wherever in a process's life that is.
void die_at(Stage& stage, RestartLoad& load, const Crash& crash) {
  INFO("crash point ", crash.point, ", pass ", crash.pass);
  if (!stage.start(crash)) return;
  if (crash.point.starts_with("stop.")) {
    if (await_orders(load, 1)) stage.server().begin_stop();
  }
  if (stage.server().wait(kPatienceEach) == KillableServer::End::killed) {
    ++stage.kills;
    return;
  }
  for (const std::string& failure : load.failures()) FAIL_CHECK(failure);
  FAIL("the point was not passed");
}

bool is_of(const std::string& point, std::initializer_list<const char*> groups) {
  return std::ranges::any_of(groups, [&](const char* group) { return point.starts_with(group); });
}

// What commands and the signer's process pass: steps_test.cc.
bool has_a_case_of_its_own(const std::string& point) {
  return is_of(point, {"issuance.", "prune.", "restore.", "rotate.", "signer."});
}

// Some dozen times by a start alone: a later pass is one under load.
bool passed_often(const std::string& point) {
  return is_of(point, {"store.", "job.", "answer.", "nonce."});
}

// Which passes to die at.
std::vector<int> passes_of(const std::string& point) {
  if (is_of(point, {"start.", "stop.", "issuers.", "own_certificate.", "maintenance.", kMarking}))
    return {1};
  if (passed_often(point)) return {1, 40};
  return {1, 2};
}

TEST_CASE("each crash point has one place, and the product does nothing at any") {
  const std::vector<std::string> points = crash_points();
  CHECK(points.size() >= 40);
  CHECK(std::ranges::adjacent_find(points) == points.end());
  // Its declaration and inline call, all in base/crash_point.h; a definition would be one more.
  CHECK(quoted_after("on_crash_point(").size() == 2);
}

TEST_CASE("kill -9 at every crash point loses nothing and issues nothing twice") {
  const auto begun = SteadyClock::now();
  Stage stage("restart-points");
  std::vector<std::string> points = crash_points();
  std::erase_if(points, has_a_case_of_its_own);
  // Only a database without tables passes these; the commit before the first is left to SQLite.
  for (const char* first : {"start.migrating", "start.migrated"}) {
    INFO("crash point ", first);
    REQUIRE_FALSE(stage.start({.point = first}));
    std::erase(points, first);
  }
  RestartLoad load(stage.server(), kPatience,
                   {.clients = 4, .revoke = 3, .change_key = 4, .deactivate = 5});
  for (const std::string& point : points) {
    for (const int pass : passes_of(point)) die_at(stage, load, {.point = point, .pass = pass});
  }
  stage.start();
  finish("kill -9 at every crash point", stage, load, begun);
}

int number(const char* variable, int otherwise) {
  const char* given = std::getenv(variable);
  return given != nullptr ? std::stoi(given) : otherwise;
}

// The kills of a random run, drawn one by one.
class Kills final {
 public:
  Kills(int count, unsigned seed) : count_(count), random_(seed), points_(crash_points()) {
    std::erase_if(points_, [](const std::string& point) {
      return is_of(point, {"start.migrat", "stop."}) || has_a_case_of_its_own(point);
    });
  }

  // Half of them at crash points.
  Crash next_crash() {
    if (draw(0, 1) == 0) return {};
    const auto point = static_cast<std::size_t>(draw(0, static_cast<int>(points_.size()) - 1));
    const std::string& name = points_[point];
    return {.point = name, .pass = draw(1, passed_often(name) ? 60 : 3)};
  }

  int draw(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }

  int count() const { return count_; }

 private:
  int count_;
  std::mt19937 random_;
  std::vector<std::string> points_;
};

// One life of a server: from its start to a kill, which comes when `due` orders are done and a
// moment later, or before, at its crash point. False when it died there.
bool live_and_die(Stage& stage, const RestartLoad& load, Kills& kills, int due) {
  constexpr int kLongestMoment = 40'000;  // microseconds
  constexpr int kStopEach = 16;           // so often it dies while it stops in order
  if (!stage.start(kills.next_crash())) return false;
  const auto died = [&](milliseconds patience) {
    const auto end = stage.server().wait(patience);
    if (end == KillableServer::End::in_order) throw std::runtime_error("it ended by itself");
    return end == KillableServer::End::killed;
  };
  while (load.done() < due && !load.finished()) {
    if (died(kTick)) return ++stage.kills, false;
  }
  std::this_thread::sleep_for(std::chrono::microseconds(kills.draw(0, kLongestMoment)));
  if (kills.draw(1, kStopEach) == 1) {
    stage.server().begin_stop();
    const auto end = stage.server().wait(milliseconds(kills.draw(0, 20)));
    if (end == KillableServer::End::in_order) return true;  // it was faster
    if (end == KillableServer::End::killed) return ++stage.kills, false;
  }
  stage.kill();
  return true;
}

TEST_CASE("kill -9 at random moments loses nothing and issues nothing twice") {
  const int orders = number("GATEHOUSE_ORDERS", 500);
  const auto seed = static_cast<unsigned>(
      number("GATEHOUSE_SEED", static_cast<int>(std::random_device()() & 0x7fffffffU)));
  Kills kills(number("GATEHOUSE_KILLS", 24), seed);
  INFO("again with: GATEHOUSE_SEED=", seed);
  const auto begun = SteadyClock::now();
  Stage stage("restart");
  RestartLoad load(stage.server(), kPatience + seconds(kills.count()),
                   {.orders = orders, .clients = 16});
  const int looks = std::max(1, kills.count() / 8);  // the oracle's, while clients wait
  int at_points = 0;
  while (stage.kills < kills.count() && !load.finished()) {
    const int due = (stage.kills + 1) * orders / (kills.count() + 1);
    const int before = stage.kills;
    at_points += live_and_die(stage, load, kills, due) ? 0 : 1;
    if (stage.kills != before && stage.kills % looks == 0) {
      stage.oracle().check_after_kill(load.told());
    }
  }
  CHECK(stage.kills >= kills.count());
  std::printf("seed %u: %d of the kills at crash points\n", seed, at_points);
  stage.start();
  finish("kill -9 at random moments", stage, load, begun);
}

}  // namespace
}  // namespace gatehouse::testing
