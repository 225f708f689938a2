#include "acme-server/base/crew.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "acme-server/base/blocking.h"
#include "acme-server/base/guarded.h"

namespace gatehouse {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// A loop that a test feeds: its steps are calls that the test gives it.
class Feed {
 public:
  struct State {
    std::deque<std::function<void()>> calls;
    bool over = false;
    std::size_t inside = 0;  // threads in a step
  };

  bool step(Crew::Wait wait) {
    auto call = state_.wait(
        [&](State& state) { return !state.calls.empty() || state.over || wait == Crew::Wait::no; },
        [](State& state) -> std::optional<std::function<void()>> {
          CHECK(state.inside++ == 0);
          if (state.calls.empty()) {
            if (state.over) return std::nullopt;
            return [] {};
          }
          auto next = std::move(state.calls.front());
          state.calls.pop_front();
          return next;
        });
    if (call) (*call)();
    state_.with([](State& state) { --state.inside; });
    return call.has_value();
  }

  void add(std::function<void()> call) {
    state_.with([&](State& state) { state.calls.push_back(std::move(call)); });
    state_.notify_all();
  }

  void end() {
    state_.with([](State& state) { state.over = true; });
    state_.notify_all();
  }

 private:
  Guarded<State> state_;
};

struct World {
  explicit World(Crew::Options options) : crew(options) {
    for (std::size_t i = 0; i < options.loops; ++i) {
      Feed& feed = feeds.emplace_back();
      crew.lead([&feed](Crew::Wait wait) { return feed.step(wait); });
    }
  }

  ~World() {
    for (Feed& feed : feeds) feed.end();
  }

  // Has loop `index` post `task`; whether it was taken is what the returned one will say.
  void post(Executor::Task task, std::size_t index = 0) {
    feeds[index].add([this, task = std::move(task)] {
      if (!crew.try_post(task)) ++refused;
    });
  }

  // Waits until loop `index` has made all steps that it was given.
  void settle(std::size_t index = 0) {
    std::latch done(1);
    feeds[index].add([&] { done.count_down(); });
    done.wait();
  }

  std::deque<Feed> feeds;
  std::atomic<int> refused = 0;
  Crew crew;
};

TEST_CASE("who leads a loop runs its tasks, without another thread") {
  World world({.name = "crew", .threads = 4, .patience = hours(1)});
  std::set<std::thread::id> threads;
  for (int i = 0; i < 100; ++i) {
    std::latch ran(1);
    world.feeds[0].add([&] {
      threads.insert(std::this_thread::get_id());
      CHECK(world.crew.try_post([&] {
        threads.insert(std::this_thread::get_id());
        ran.count_down();
      }));
    });
    ran.wait();
  }
  world.settle();
  CHECK(threads.size() == 1);
  CHECK(world.crew.idle() == 4);
}

TEST_CASE("a task that says it blocks leaves the loop to another thread") {
  World world({.name = "crew", .threads = 4, .patience = hours(1)});
  std::latch blocked(1);
  std::latch open(1);
  std::latch ended(1);
  world.post([&] {
    about_to_block();
    about_to_block();  // a second time it means nothing
    blocked.count_down();
    open.wait();
    ended.count_down();
  });
  blocked.wait();
  world.settle();
  CHECK(world.crew.idle() == 3);
  open.count_down();
  ended.wait();
}

TEST_CASE("a task that blocks without a word loses the loop after a while") {
  World world({.name = "crew", .threads = 4, .patience = milliseconds(1)});
  for (int i = 0; i < 3; ++i) {  // also when the watch has come to rest in between
    std::latch blocked(1);
    std::latch open(1);
    std::latch ended(1);
    world.post([&] {
      blocked.count_down();
      open.wait();
      ended.count_down();
    });
    blocked.wait();
    world.settle();
    open.count_down();
    ended.wait();
  }
}

TEST_CASE("when all threads are under way tasks wait, then are refused, and the loops go on") {
  World world({.name = "crew", .loops = 2, .threads = 2, .queue_limit = 3, .patience = hours(1)});
  std::latch blocked(2);
  std::latch open(1);
  std::latch ended(5);
  for (int i = 0; i < 2; ++i) {
    world.post([&] {
      about_to_block();
      blocked.count_down();
      open.wait();
      ended.count_down();
    });
  }
  blocked.wait();
  CHECK(world.crew.idle() == 0);
  for (int i = 0; i < 4; ++i) {
    world.post([&] { ended.count_down(); }, 1);
  }
  world.settle(0);
  world.settle(1);
  CHECK(world.refused == 1);
  open.count_down();
  ended.wait();
}

TEST_CASE("tasks of other threads run too, and those that a task posts") {
  World world({.name = "crew", .threads = 1, .queue_limit = 8, .patience = hours(1)});
  std::latch ended(3);
  CHECK(world.crew.try_post([&] { ended.count_down(); }));
  world.post([&] {
    CHECK(world.crew.try_post([&] { ended.count_down(); }));
    ended.count_down();
  });
  ended.wait();
}

TEST_CASE("many tasks on many loops: each runs once, each loop has one leader") {
  std::atomic<int> runs = 0;
  constexpr int kTasks = 2000;
  {
    World world({.name = "crew",
                 .loops = 3,
                 .threads = 4,
                 .queue_limit = 2 * kTasks,
                 .patience = milliseconds(1)});
    std::latch ended(kTasks);
    for (int i = 0; i < kTasks; ++i) {
      world.post(
          [&, i] {
            if (i % 3 == 0) about_to_block();
            if (i % 7 == 0) std::this_thread::yield();
            ++runs;
            ended.count_down();
          },
          static_cast<std::size_t>(i) % 3);
    }
    ended.wait();
    CHECK(world.refused == 0);
  }
  CHECK(runs == kTasks);
}

TEST_CASE("a drained crew has run what it had, and takes nothing more") {
  std::atomic<int> runs = 0;
  Crew crew({.name = "crew", .threads = 1, .queue_limit = 8});
  for (int i = 0; i < 5; ++i) CHECK(crew.try_post([&] { ++runs; }));
  crew.drain();
  crew.drain();
  CHECK(runs == 5);
  CHECK_FALSE(crew.try_post([&] { ++runs; }));
  CHECK(crew.idle() == 0);
}

}  // namespace
}  // namespace gatehouse
