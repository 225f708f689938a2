#include "acme-server/base/executor.h"

#include <doctest/doctest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"

namespace gatehouse {
namespace {

// Holds one thread of a pool until it is opened.
class Gate {
 public:
  Executor::Task task() {
    return [this] {
      entered_.count_down();
      open_.wait();
    };
  }

  void wait_until_entered() { entered_.wait(); }

  void open() { open_.count_down(); }

 private:
  std::latch entered_{1};
  std::latch open_{1};
};

TEST_CASE("an inline executor runs the task before try_post returns") {
  InlineExecutor executor;
  int runs = 0;
  CHECK(executor.try_post([&] { ++runs; }));
  CHECK(runs == 1);
  CHECK(executor.idle() == 1);
}

TEST_CASE("a full pool refuses at once, and takes tasks again when one has ended") {
  WorkerPool pool({.name = "full", .threads = 1, .queue_limit = 1});
  Gate gate;
  std::atomic<int> runs = 0;
  CHECK(pool.idle() == 1);
  REQUIRE(pool.try_post(gate.task()));
  gate.wait_until_entered();
  CHECK(pool.idle() == 0);
  CHECK(pool.try_post([&] { ++runs; }));        // waits
  CHECK_FALSE(pool.try_post([&] { ++runs; }));  // full
  gate.open();
  pool.drain();
  CHECK(runs == 1);
}

TEST_CASE("a pool without a queue takes as many tasks as it has threads") {
  WorkerPool pool({.name = "none", .threads = 2, .queue_limit = 0});
  Gate first;
  Gate second;
  REQUIRE(pool.try_post(first.task()));
  REQUIRE(pool.try_post(second.task()));
  CHECK_FALSE(pool.try_post([] {}));
  first.open();
  second.open();
}

TEST_CASE("idle counts threads that neither run nor are spoken for") {
  WorkerPool pool({.name = "idle", .threads = 3, .queue_limit = 8});
  std::array<Gate, 5> gates;
  for (std::size_t posted = 0; posted < gates.size(); ++posted) {
    CHECK(pool.idle() == (posted < 3 ? 3 - posted : 0));
    REQUIRE(pool.try_post(gates[posted].task()));
  }
  CHECK(pool.idle() == 0);
  for (Gate& gate : gates) {
    gate.open();
  }
  pool.drain();
  CHECK(pool.idle() == 0);  // closed: nothing would start
}

TEST_CASE("draining runs what is queued and takes nothing more") {
  std::atomic<int> runs = 0;
  WorkerPool pool({.name = "drain", .threads = 2, .queue_limit = 100});
  for (int i = 0; i < 100; ++i) {
    REQUIRE(pool.try_post([&] { ++runs; }));
  }
  pool.drain();
  CHECK(runs == 100);
  CHECK_FALSE(pool.try_post([&] { ++runs; }));
  pool.drain();
  CHECK(runs == 100);
}

TEST_CASE("a pool that goes drains first") {
  std::atomic<int> runs = 0;
  {
    WorkerPool pool({.name = "gone", .threads = 1, .queue_limit = 50});
    for (int i = 0; i < 50; ++i) {
      REQUIRE(pool.try_post([&] { ++runs; }));
    }
  }
  CHECK(runs == 50);
}

TEST_CASE("tasks posted from many threads run exactly once each") {
  constexpr int kPosters = 4;
  constexpr int kTasks = 500;
  std::vector<std::atomic<int>> runs(kPosters * kTasks);
  std::atomic<int> refused = 0;
  {
    WorkerPool pool({.name = "many", .threads = 4, .queue_limit = 64});
    std::vector<std::jthread> posters;
    for (int poster = 0; poster < kPosters; ++poster) {
      posters.emplace_back([&, poster] {
        for (int i = 0; i < kTasks; ++i) {
          std::atomic<int>& run = runs[static_cast<std::size_t>(poster * kTasks + i)];
          if (!pool.try_post([&run] { ++run; })) {
            ++refused;
            ++run;
          }
        }
      });
    }
  }
  for (const std::atomic<int>& run : runs) {
    CHECK(run == 1);
  }
  CHECK(refused < kPosters * kTasks);
}

TEST_CASE("a task may post to its own pool") {
  WorkerPool pool({.name = "self", .threads = 1, .queue_limit = 4});
  std::promise<bool> taken;
  REQUIRE(pool.try_post([&] { taken.set_value(pool.try_post([] {})); }));
  CHECK(taken.get_future().get());
}

TEST_CASE("threads carry the pool's name") {
  WorkerPool pool({.name = "issuance-lane-0", .threads = 1});
  std::promise<std::string> name;
  REQUIRE(pool.try_post([&] {
    std::array<char, 16> text{};
    ::pthread_getname_np(::pthread_self(), text.data(), text.size());
    name.set_value(text.data());
  }));
  CHECK(name.get_future().get() == "issuance-lane-0");
}

TEST_CASE("a task's captures are gone before its thread counts as idle") {
  WorkerPool pool({.name = "captures", .threads = 1});
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  REQUIRE(pool.try_post([held = std::move(held)] {}));
  pool.drain();
  CHECK(watch.expired());
}

TEST_CASE("a pool of no threads or with a name that Linux cuts is a bug") {
  CHECK_THROWS_AS(WorkerPool(WorkerPool::Options{.name = "x", .threads = 0}), LogicError);
  CHECK_THROWS_AS(WorkerPool(WorkerPool::Options{.name = "sixteen-letters-"}), LogicError);
}

}  // namespace
}  // namespace gatehouse
