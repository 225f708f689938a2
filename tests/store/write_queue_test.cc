// The queue of writes as its callers meet it: groups, their COMMIT, and what each member is told.
#include "acme-server/store/write_queue.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"
#include "acme-server/store/store.h"
#include "tests/support/faulty_database.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

class Rejected : public std::runtime_error {
 public:
  Rejected() : std::runtime_error("rejected") {}
};

// Takes tasks when a test says so, and runs them there and then.
class FickleExecutor final : public Executor {
 public:
  bool try_post(Task task) override {
    if (full) {
      return false;
    }
    ++ran;
    task();
    return true;
  }

  std::size_t idle() const override { return 1; }

  std::atomic<bool> full = false;
  std::atomic<int> ran = 0;
};

// A store whose lead a test can hold: what comes meanwhile is one group.
class GroupStore final {
 public:
  explicit GroupStore(store::Store::Options options = {}, unsigned checkpoint_pages = 1000)
      : database_(sql::open(options_with(checkpoint_pages)), plan) {
    store_.emplace(database_, housekeeper, clock_, clock_, log_, metrics_, options);
  }

  store::Store& operator*() { return *store_; }

  store::Store* operator->() { return &*store_; }

  // Leads, with a write that comes to nothing, from begin() until end().
  class Lead final {
   public:
    explicit Lead(GroupStore& store)
        : thread_([this, &store] {
            try {
              store->write([this](store::Tx&) {
                held_.with([](bool& held) { held = true; });
                held_.notify_all();
                ended_.wait([](bool ended) { return ended; }, [](bool) {});
                throw Rejected();
              });
            } catch (const Rejected&) {
              return;
            }
          }) {
      held_.wait([](bool held) { return held; }, [](bool) {});
    }

    ~Lead() { end(); }

    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;

    void end() {
      ended_.with([](bool& ended) { ended = true; });
      ended_.notify_all();
    }

   private:
    Guarded<bool> held_{false}, ended_{false};
    std::jthread thread_;
  };

  // Runs `writes` on a thread each, in this order, as what has come while another led. Returns how
  // many COMMITs that took.
  std::int64_t together(const std::vector<std::function<void()>>& writes) {
    const std::int64_t before = plan.commits();
    std::vector<std::jthread> threads;
    {
      Lead lead(*this);
      for (const std::function<void()>& write : writes) {
        threads.emplace_back(write);
        while (waiting() != threads.size()) {
          std::this_thread::yield();
        }
      }
    }
    threads.clear();
    return plan.commits() - before;
  }

  std::size_t waiting() const {
    const std::string text = metrics_.text();
    const std::string name = "\ngatehouse_store_waiting ";
    const std::size_t at = text.find(name);
    REQUIRE(at != std::string::npos);
    return std::strtoul(text.c_str() + at + name.size(), nullptr, 10);
  }

  bool has(const std::string& name) {
    return store_->read([&](store::Tx& tx) { return tx.state().get(name).has_value(); });
  }

  FaultPlan plan;
  FickleExecutor housekeeper;

 private:
  store::StoreOptions options_with(unsigned checkpoint_pages) const {
    store::StoreOptions options = test_store_options(folder_);
    options.checkpoint_pages = checkpoint_pages;
    return options;
  }

  TemporaryFolder folder_;
  ManualClock clock_;
  Log log_;
  Metrics metrics_;
  FaultyDatabase database_;
  std::optional<store::Store> store_;
};

void put(store::Tx& tx, const std::string& name) {
  tx.state().set(name, "here");
}

// A write of `name` that counts in `done` when it is told of success.
std::function<void()> putting(GroupStore& store, const std::string& name, std::atomic<int>& done) {
  return [&store, name, &done] {
    store->write([&](store::Tx& tx) { put(tx, name); });
    ++done;
  };
}

template <class Error>
std::function<void()> failing(GroupStore& store, std::function<void(store::Tx&)> closure,
                              std::atomic<int>& told) {
  return [&store, closure = std::move(closure), &told] {
    try {
      store->write(closure);
    } catch (const Error&) {
      ++told;
    }
  };
}

}  // namespace

TEST_CASE("writes that wait together share one COMMIT") {
  GroupStore store;
  std::atomic<int> done = 0;
  std::vector<std::function<void()>> writes;
  for (int i = 0; i < 20; ++i) {
    writes.push_back(putting(store, "name-" + std::to_string(i), done));
  }
  CHECK(store.together(writes) == 1);
  CHECK(done == 20);
  for (int i = 0; i < 20; ++i) {
    CHECK(store.has("name-" + std::to_string(i)));
  }
}

TEST_CASE("a group has no more members than its limit") {
  GroupStore store({.readers = 1, .group_limit = 4, .queue_limit = 100});
  std::atomic<int> done = 0;
  std::vector<std::function<void()>> writes;
  for (int i = 0; i < 10; ++i) {
    writes.push_back(putting(store, "name-" + std::to_string(i), done));
  }
  CHECK(store.together(writes) == 3);
  CHECK(done == 10);
}

TEST_CASE("a closure that throws leaves its neighbours alone, its own writes are gone") {
  GroupStore store;
  std::atomic<int> done = 0;
  std::atomic<int> told = 0;
  CHECK(store.together({
            putting(store, "before", done),
            failing<Rejected>(
                store,
                [](store::Tx& tx) {
                  put(tx, "lost");
                  throw Rejected();
                },
                told),
            failing<sql::ConstraintError>(
                store,
                [](store::Tx& tx) {
                  put(tx, "lost-too");
                  store::AuditEvent event;
                  tx.audit().append(event);
                  store::Issuance orphan;
                  tx.issuances().insert(orphan);
                },
                told),
            putting(store, "after", done),
        }) == 1);
  CHECK(done == 2);
  CHECK(told == 2);
  CHECK(store.has("before"));
  CHECK(store.has("after"));
  CHECK_FALSE(store.has("lost"));
  CHECK_FALSE(store.has("lost-too"));
  CHECK(store->read([](store::Tx& tx) { return tx.audit().list(0, 10).empty(); }));
}

TEST_CASE("when the COMMIT fails every member is told, also one that had thrown") {
  GroupStore store;
  store.plan.set([](const CommitPoint&) { return Fault::fail_before; });
  std::atomic<int> told = 0;
  const auto write = [](store::Tx& tx) { put(tx, "lost"); };
  const auto reject = [](store::Tx&) { throw Rejected(); };
  CHECK(store.together({failing<sql::DatabaseError>(store, write, told),
                        failing<sql::DatabaseError>(store, reject, told),
                        failing<sql::DatabaseError>(store, write, told)}) == 1);
  CHECK(told == 3);
  CHECK_FALSE(store.has("lost"));

  store.plan.set({});
  std::atomic<int> done = 0;
  CHECK(store.together({putting(store, "recovered", done)}) == 1);
  CHECK(done == 1);
}

TEST_CASE("an unknown outcome is told as such and never run again") {
  GroupStore store;
  store.plan.set([](const CommitPoint&) { return Fault::fail_after; });
  std::atomic<int> told = 0;
  std::atomic<int> runs = 0;
  const auto write = [&](store::Tx& tx) {
    ++runs;
    put(tx, "there");
  };
  CHECK(store.together({failing<sql::CommitUnknown>(store, write, told),
                        failing<sql::CommitUnknown>(store, write, told)}) == 1);
  CHECK(told == 2);
  CHECK(runs == 2);
  CHECK(store.has("there"));
}

TEST_CASE("a conflict runs the group again, a lasting one fails it") {
  GroupStore store;
  const std::int64_t opened = store.plan.commits();
  store.plan.set([&](const CommitPoint& point) {
    return point.number - opened <= 2 ? Fault::conflict : Fault::none;
  });
  std::atomic<int> runs = 0;
  std::atomic<int> wakes = 0;
  std::atomic<int> done = 0;
  CHECK(store.together({[&] {
    store->write([&](store::Tx& tx) {
      ++runs;
      tx.after_commit([&] { ++wakes; });
      put(tx, "there");
    });
    ++done;
  }}) == 3);
  CHECK(runs == 3);
  CHECK(wakes == 1);
  CHECK(done == 1);

  store.plan.set([](const CommitPoint&) { return Fault::conflict; });
  std::atomic<int> told = 0;
  store.together(
      {failing<sql::DatabaseError>(store, [](store::Tx& tx) { put(tx, "never"); }, told)});
  CHECK(told == 1);
  CHECK_FALSE(store.has("never"));
}

TEST_CASE("a group that wrote nothing needs no COMMIT") {
  GroupStore store;
  std::atomic<int> told = 0;
  CHECK(
      store.together({failing<Rejected>(store, [](store::Tx&) { throw Rejected(); }, told)}) == 0);
  CHECK(told == 1);
}

TEST_CASE("a write beyond the queue's limit fails at once, those that wait are served") {
  GroupStore store({.readers = 1, .group_limit = 4, .queue_limit = 2});
  std::atomic<int> done = 0;
  std::vector<std::jthread> threads;
  std::optional<GroupStore::Lead> lead(store);
  for (const char* name : {"first", "second"}) {
    threads.emplace_back(putting(store, name, done));
  }
  while (store.waiting() != 2) {
    std::this_thread::yield();
  }
  CHECK_THROWS_WITH_AS(store->write([](store::Tx& tx) { put(tx, "third"); }),
                       doctest::Contains("the write queue is full"), sql::DatabaseError);
  lead.reset();
  threads.clear();
  CHECK(done == 2);
  CHECK_FALSE(store.has("third"));
}

TEST_CASE("a closure that throws among others runs once more, alone not") {
  GroupStore store;
  std::atomic<int> runs = 0;
  std::atomic<int> told = 0;
  std::atomic<int> done = 0;
  const auto reject = [&](store::Tx&) {
    ++runs;
    throw Rejected();
  };
  CHECK(store.together({failing<Rejected>(store, reject, told)}) == 0);
  CHECK(runs == 1);
  CHECK(store.together({failing<Rejected>(store, reject, told), putting(store, "there", done)}) ==
        1);
  CHECK(runs == 3);
  CHECK(told == 2);
  CHECK(done == 1);
}

TEST_CASE("a write that may wait shares the COMMIT of the next one, or has its own in the end") {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  GroupStore batching({.batch_delay = hours(1)});
  std::atomic<int> done = 0;
  const std::int64_t before = batching.plan.commits();
  std::jthread soon([&] {
    batching->write_soon([](store::Tx& tx) { put(tx, "soon"); });
    ++done;
  });
  while (batching.waiting() != 1) {
    std::this_thread::yield();
  }
  CHECK(batching.plan.commits() == before);
  batching->write([](store::Tx& tx) { put(tx, "now"); });
  soon.join();
  CHECK(done == 1);
  CHECK(batching.plan.commits() == before + 1);
  CHECK(batching.has("soon"));

  for (const milliseconds delay : {milliseconds(0), milliseconds(1)}) {
    GroupStore alone({.batch_delay = delay});
    CHECK(alone->write_soon([](store::Tx& tx) {
      put(tx, "alone");
      return 7;
    }) == 7);
    CHECK(alone.has("alone"));
    // Behind one who leads, too: it is not forgotten when nobody else comes.
    std::jthread second;
    {
      GroupStore::Lead lead(alone);
      second = std::jthread([&] { alone->write_soon([](store::Tx& tx) { put(tx, "second"); }); });
      while (alone.waiting() != 1) {
        std::this_thread::yield();
      }
    }
    second.join();
    CHECK(alone.has("second"));
  }
}

TEST_CASE(
    "what the database needs done is the housekeeper's, and no write waits for one that is away") {
  GroupStore store({}, 1);  // each COMMIT leaves something to do
  store->write([](store::Tx& tx) { put(tx, "first"); });
  CHECK(store.housekeeper.ran == 1);
  store.housekeeper.full = true;
  store->write([](store::Tx& tx) { put(tx, "second"); });
  CHECK(store.housekeeper.ran == 1);
  store.housekeeper.full = false;
  store->write([](store::Tx& tx) { put(tx, "third"); });
  CHECK(store.housekeeper.ran == 2);
  CHECK(store.has("second"));
}

}  // namespace gatehouse::testing
