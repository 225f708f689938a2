#include "acme-server/store/store.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/executor.h"
#include "acme-server/store/sql/migrate.h"
#include "tests/support/faulty_database.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

class Rejected : public std::runtime_error {
 public:
  Rejected() : std::runtime_error("rejected") {}
};

void put(store::Tx& tx, const std::string& name) {
  tx.state().set(name, "here");
}

}  // namespace

TEST_CASE("a read or write inside a closure is a bug") {
  TestStore store;
  const auto nested_read = [&](store::Tx&) { store->read([](store::Tx&) {}); };
  const auto nested_write = [&](store::Tx&) { store->write([](store::Tx&) {}); };
  CHECK_THROWS_AS(store->read(nested_read), LogicError);
  CHECK_THROWS_AS(store->read(nested_write), LogicError);
  CHECK_THROWS_AS(store->write(nested_read), LogicError);
  CHECK_THROWS_AS(store->write(nested_write), LogicError);
  store->write([](store::Tx& tx) { put(tx, "fine"); });  // the mark is off again
}

TEST_CASE("a write inside a read fails and leaves the reader usable") {
  TestStore store;
  for (int i = 0; i < 20; ++i) {  // more often than there are readers
    CHECK_THROWS_AS(store->read([](store::Tx& tx) { put(tx, "no"); }), sql::DatabaseError);
  }
  CHECK_FALSE(store->read([](store::Tx& tx) { return tx.state().get("no"); }));
}

TEST_CASE("what a read sees does not change under it") {
  TestStore store;
  store->write([](store::Tx& tx) { tx.state().set("name", "old"); });
  store->read([&](store::Tx& tx) {
    CHECK(tx.state().get("name") == "old");
    std::jthread([&] {
      store->write([](store::Tx& other) { other.state().set("name", "new"); });
    }).join();
    CHECK(tx.state().get("name") == "old");
  });
  CHECK(store->read([](store::Tx& tx) { return tx.state().get("name"); }) == "new");
}

TEST_CASE("tasks run after their COMMIT, on the caller's thread, and not without one") {
  TestStore store;
  int runs = 0;
  std::thread::id where;
  store->write([&](store::Tx& tx) {
    tx.after_commit([&] {
      ++runs;
      where = std::this_thread::get_id();
      store->write([](store::Tx& next) { put(next, "a task may write"); });
    });
    CHECK(runs == 0);
  });
  CHECK(runs == 1);
  CHECK(where == std::this_thread::get_id());
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) {
    tx.after_commit([&] { ++runs; });
    throw Rejected();
  }),
                  Rejected);
  store->read([&](store::Tx& tx) { tx.after_commit([&] { ++runs; }); });
  CHECK(runs == 1);
}

TEST_CASE("a transaction's time never goes backwards") {
  TestStore store;
  const auto now = [&] { return store->read([](store::Tx& tx) { return tx.now(); }); };
  const auto job_now = [&] { return store->write([](store::Tx& tx) { return tx.job_now(); }); };
  store.clock.set(kNoon + std::chrono::hours(1));
  CHECK(now() == kNoon + std::chrono::hours(1));
  store.clock.set(kNoon);
  CHECK(now() == kNoon + std::chrono::hours(1));
  store.clock.set(kNoon + std::chrono::hours(2));
  CHECK(now() == kNoon + std::chrono::hours(2));
  CHECK(job_now() == kNoon);
  store.job_clock.set(kNoon + std::chrono::seconds(9));
  CHECK(job_now() == kNoon + std::chrono::seconds(9));
  store.job_clock.set(kNoon);
  CHECK(job_now() == kNoon + std::chrono::seconds(9));
}

TEST_CASE("read and write give back what their closure returns") {
  TestStore store;
  CHECK(store->write([](store::Tx&) { return std::string("value"); }) == "value");
  CHECK(*store->read([](store::Tx&) { return std::make_unique<int>(7); }) == 7);
  CHECK(store->schema() == sql::embedded_migrations().back().number);
}

TEST_CASE("a crash before the COMMIT loses all of it, one after it nothing") {
  FaultPlan plan;
  TestStore store([&](std::unique_ptr<sql::Database> inner) {
    return std::make_unique<FaultyDatabase>(std::move(inner), plan);
  });
  for (const Fault fault : {Fault::crash_before, Fault::crash_after}) {
    const bool kept = fault == Fault::crash_after;
    CAPTURE(kept);
    const std::string name = kept ? "after" : "before";
    plan.set([fault](const CommitPoint&) { return fault; });
    CHECK_THROWS_AS(store->write([&](store::Tx& tx) { put(tx, name); }), SimulatedCrash);
    CHECK(plan.crashed());
    CHECK_THROWS_AS(store->write([&](store::Tx& tx) { put(tx, "ghost"); }), SimulatedCrash);
    CHECK_THROWS_AS(store->read([&](store::Tx& tx) { tx.state().get(name); }), SimulatedCrash);
    plan.set({});
    plan.restart();
    store.reopen();
    CHECK(store->read([&](store::Tx& tx) { return tx.state().get(name).has_value(); }) == kept);
    CHECK_FALSE(store->read([](store::Tx& tx) { return tx.state().get("ghost"); }));
  }
}

// What the thread sanitizer looks at: every kind of call from many threads at once.
TEST_CASE("many threads read, write, fail and are each told of their own") {
  constexpr int kThreads = 64;
  constexpr int kRounds = 20;
  TemporaryFolder folder;
  ManualClock clock;
  Log log;
  Metrics metrics;
  const std::unique_ptr<sql::Database> inner = sql::open(test_store_options(folder));
  WorkerPool housekeeper({.name = "housekeeper", .threads = 1});
  std::atomic<int> done = 0;
  std::atomic<int> rejected = 0;
  std::atomic<int> wakes = 0;
  std::atomic<int> wrong = 0;
  {
    store::Store store(*inner, housekeeper, clock, clock, log, metrics,
                       {.readers = 4, .batch_delay = std::chrono::milliseconds(1)});
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int round = 0; round < kRounds; ++round) {
          const std::string name = std::to_string(thread) + "/" + std::to_string(round);
          const bool reject = (thread + round) % 5 == 0;
          const auto closure = [&](store::Tx& tx) {
            put(tx, name);
            store::AuditEvent event;
            event.kind = name;
            tx.audit().append(event);
            tx.after_commit([&] { ++wakes; });
            if (reject) {
              throw Rejected();
            }
            return name;
          };
          try {
            const std::string back =
                thread % 2 == 0 ? store.write(closure) : store.write_soon(closure);
            ++done;
            wrong += back == name && !reject ? 0 : 1;
          } catch (const Rejected&) {
            ++rejected;
            wrong += reject ? 0 : 1;
          }
          clock.advance(std::chrono::seconds(1));
          const bool there =
              store.read([&](store::Tx& tx) { return tx.state().get(name).has_value(); });
          wrong += there != reject ? 0 : 1;
        }
      });
    }
    threads.clear();
    CHECK_FALSE(store.read([](store::Tx& tx) { return tx.audit().why_broken(); }));
    const std::size_t events =
        store.read([](store::Tx& tx) { return tx.audit().list(0, 10'000).size(); });
    CHECK(events == static_cast<std::size_t>(done.load()));
  }
  CHECK(wrong == 0);
  CHECK(done + rejected == kThreads * kRounds);
  CHECK(wakes == done);
}

}  // namespace gatehouse::testing
