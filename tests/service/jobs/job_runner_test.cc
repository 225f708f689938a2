#include "acme-server/service/jobs/job_runner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/executor.h"
#include "tests/support/faulty_database.h"
#include "tests/support/test_services.h"

// What is asked here is what the runner claims and how it ends it. Inline lanes keep claim and run
// one step; jobs that begin with their COMMIT have tests of their own (eager_job_test.cc).
namespace gatehouse {
namespace {

using service::JobRun;
using service::JobRunner;
using std::chrono::seconds;
using testing::TestServices;

class ScriptedHandler final : public service::JobHandler {
 public:
  explicit ScriptedHandler(std::function<void(JobRun&)> action) : action_(std::move(action)) {}

  store::JobKind kind() const override { return store::JobKind::maintenance; }

  void run(JobRun& run) override { action_(run); }

 private:
  std::function<void(JobRun&)> action_;
};

// A lane that takes nothing but says it would.
class FullLane final : public Executor {
 public:
  bool try_post(Task) override { return false; }

  std::size_t idle() const override { return 3; }
};

void enqueue(TestServices& services, const std::string& subject) {
  services.store->write([&](store::Tx& tx) {
    tx.jobs().enqueue("job-" + subject, store::JobKind::maintenance, subject, tx.job_now());
  });
}

std::int64_t waiting(TestServices& services) {
  return services.store->read(
      [](store::Tx& tx) { return tx.jobs().count(store::JobKind::maintenance); });
}

TEST_CASE("what throws runs again after 2, 4, 8… seconds and up to a quarter more, at most 300") {
  TestServices services;
  InlineExecutor lane;
  std::vector<Instant> runs;
  ScriptedHandler handler([&](JobRun&) {
    runs.push_back(services.store.job_clock.now());
    throw std::runtime_error("not now");
  });
  JobRunner runner(services.context());
  runner.add(handler, lane);
  enqueue(services, "a");
  while (runs.size() < 14) {
    runner.run_due_once();
    services.advance(seconds(1));
  }
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const seconds wait = runs[i] - runs[i - 1];
    const seconds least =
        std::min(seconds(1LL << std::min<std::size_t>(i, 20)), JobRunner::kLongestBackoff);
    CAPTURE(i);
    CHECK(wait >= least);
    CHECK(wait <= least + least / 4 + seconds(1));
  }
}

TEST_CASE("a handler that does not end its run is a bug; the job comes again") {
  std::vector<std::string> errors;
  TestServices services({.log = [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::error) errors.emplace_back(line);
  }});
  InlineExecutor lane;
  ScriptedHandler handler([](JobRun&) {});
  JobRunner runner(services.context());
  runner.add(handler, lane);
  enqueue(services, "a");
  CHECK(runner.run_due_once() == 1);
  REQUIRE(errors.size() == 1);
  CHECK(errors.front().find("job.bug") != std::string::npos);
  CHECK(waiting(services) == 1);
}

TEST_CASE("a job enqueued while it runs runs again") {
  TestServices services;
  InlineExecutor lane;
  int runs = 0;
  ScriptedHandler handler([&](JobRun& run) {
    if (++runs == 1) enqueue(services, "a");
    services.store->write([&](store::Tx& tx) { run.finish(tx); });
  });
  JobRunner runner(services.context());
  runner.add(handler, lane);
  enqueue(services, "a");
  while (runner.run_due_once() > 0) {
  }
  CHECK(runs == 2);
  CHECK(waiting(services) == 0);
}

TEST_CASE("a worker that slept past its lease cannot write: its whole transaction is undone") {
  TestServices services;
  InlineExecutor lane;
  int runs = 0, lost = 0;
  JobRunner runner(services.context());
  ScriptedHandler handler([&](JobRun& run) {
    if (++runs == 1) {
      services.advance(JobRunner::kLease + seconds(1));
      CHECK(runner.run_due_once() == 1);  // another worker takes it over, and finishes it
    }
    try {
      services.store->write([&](store::Tx& tx) {
        tx.state().set("written by run", std::to_string(runs));
        run.finish(tx);
      });
    } catch (const service::LeaseLost&) {
      ++lost;
      throw;
    }
  });
  runner.add(handler, lane);
  enqueue(services, "a");
  runner.run_due_once();
  CHECK(runs == 2);
  CHECK(lost == 1);
  CHECK(services.store->read([](store::Tx& tx) { return tx.state().get("written by run"); }) ==
        "2");
  CHECK(waiting(services) == 0);
}

TEST_CASE(
    "a run that nothing could be written of goes on with the next write, not with its lease") {
  testing::FaultPlan plan;
  TestServices services({.wrap = [&](std::unique_ptr<sql::Database> database) {
    return std::make_unique<testing::FaultyDatabase>(std::move(database), plan);
  }});
  InlineExecutor lane;
  int runs = 0;
  JobRunner runner(services.context());
  ScriptedHandler handler([&](JobRun& run) {
    if (++runs == 1)
      plan.set([](const testing::CommitPoint&) { return testing::Fault::fail_before; });
    services.store->write([&](store::Tx& tx) { run.finish(tx); });
  });
  runner.add(handler, lane);
  enqueue(services, "a");
  runner.run_due_once();
  runner.run_due_once();  // the disk is still full
  CHECK(runs == 1);
  plan.set({});
  runner.run_due_once();
  CHECK(runs == 2);
  CHECK(waiting(services) == 0);
}

TEST_CASE("a renewed lease holds past its first end") {
  TestServices services;
  InlineExecutor lane;
  int runs = 0;
  JobRunner runner(services.context());
  ScriptedHandler handler([&](JobRun& run) {
    ++runs;
    services.store->write([&](store::Tx& tx) { run.renew(tx, std::chrono::minutes(10)); });
    services.advance(std::chrono::minutes(9));
    CHECK(runner.run_due_once() == 0);
    services.store->write([&](store::Tx& tx) { run.finish(tx); });
  });
  runner.add(handler, lane);
  enqueue(services, "a");
  runner.run_due_once();
  CHECK(runs == 1);
}

TEST_CASE("jobs that their lane does not take after all are given back at once") {
  TestServices services;
  FullLane full;
  int runs = 0;
  ScriptedHandler handler([&](JobRun& run) {
    ++runs;
    services.store->write([&](store::Tx& tx) { run.finish(tx); });
  });
  JobRunner refused(services.context());
  refused.add(handler, full);
  for (const char* subject : {"a", "b"}) enqueue(services, subject);
  CHECK(refused.run_due_once() == 0);
  CHECK(runs == 0);
  // The scheduler does not spin on what it cannot post.
  CHECK(refused.until_next() == std::chrono::seconds(1));
  InlineExecutor lane;
  JobRunner runner(services.context());
  runner.add(handler, lane);
  CHECK(runner.run_due_once() == 1);
  CHECK(runner.until_next() == std::chrono::seconds(0));
  CHECK(runner.run_due_once() == 1);
  CHECK(runs == 2);
}

TEST_CASE("until_next is the time to the next job, at most a second") {
  TestServices services;
  JobRunner runner(services.context());
  CHECK(runner.until_next() == std::chrono::seconds(1));
  services.store->write([&](store::Tx& tx) {
    tx.jobs().enqueue("j", store::JobKind::maintenance, "a", tx.job_now() + seconds(30));
  });
  CHECK(runner.until_next() == std::chrono::seconds(1));
  CHECK(runner.run_due_once() == 0);
}

TEST_CASE("on a pool of threads each job runs once, as many at a time as there are threads") {
  TestServices seed;
  testing::TemporaryFolder folder;
  const auto database = sql::open(testing::test_store_options(folder));
  WorkerPool writer({.name = "writer", .threads = 1, .queue_limit = 256});
  store::Store store(*database, writer, seed.store.clock, seed.store.job_clock, seed.context().log,
                     seed.store.metrics);
  service::Context context = {.store = store,
                              .clock = seed.store.clock,
                              .job_clock = seed.store.job_clock,
                              .entropy = seed.entropy,
                              .log = seed.context().log,
                              .metrics = seed.store.metrics,
                              .policy = seed.policy,
                              .validators = seed.context().validators,
                              .caa = seed.context().caa,
                              .backends = seed.context().backends,
                              .stops = seed.stops(),
                              .wake = [] {},
                              .account_url = {}};
  constexpr int kJobs = 40;
  store.write([&](store::Tx& tx) {
    for (int i = 0; i < kJobs; ++i) {
      tx.jobs().enqueue("job-" + std::to_string(i), store::JobKind::maintenance, std::to_string(i),
                        tx.job_now());
    }
  });
  std::latch done(kJobs);
  Guarded<std::vector<std::string>> subjects;
  std::atomic<int> running = 0, most = 0;
  ScriptedHandler handler([&](JobRun& run) {
    const int now = ++running;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    store.write([&](store::Tx& tx) { run.finish(tx); });
    subjects.with([&](auto& list) { list.push_back(run.job().subject); });
    --running;
    done.count_down();
  });
  JobRunner runner(context);
  {
    WorkerPool lane({.name = "lane", .threads = 4, .queue_limit = 8});
    runner.add(handler, lane);
    while (!done.try_wait()) {
      if (runner.run_due_once() == 0) std::this_thread::yield();
    }
  }
  subjects.with([&](auto& list) {
    std::ranges::sort(list);
    CHECK(list.size() == kJobs);
    CHECK(std::ranges::adjacent_find(list) == list.end());
  });
  CHECK(most <= 4);
}

}  // namespace
}  // namespace gatehouse
