#include "acme-server/service/jobs/completions.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/service/jobs/job.h"
#include "tests/support/stepped_executor.h"
#include "tests/support/test_database.h"

namespace gatehouse::service {
namespace {

using std::chrono::milliseconds;
using testing::SteppedExecutor;

const AccountId kAlice("alice");
const AccountId kBob("bob");
const OrderId kOrder("order");
constexpr milliseconds kLongest{1000};
constexpr milliseconds kBudget{3000};

struct Fixture {
  explicit Fixture(Completions::Options options = {}) {
    options.now = [this] { return now; };
    completions = std::make_unique<Completions>(requests, metrics, std::move(options));
  }

  Ticket take(const std::string& job, const AccountId& account = kAlice,
              milliseconds longest = kLongest) {
    return completions->take(job, account, longest);
  }

  // Has an answer wait, which notes itself as "<job> anew" or "<job> ready".
  void wait(Ticket ticket, const std::string& job, const OrderId& order = kOrder) {
    ticket.charge_to(order, kBudget);
    std::move(ticket).wait({.anew = [this, job] { sent.push_back(job + " anew"); },
                            .ready = [this, job] { sent.push_back(job + " ready"); }});
  }

  void take_and_wait(const std::string& job, const OrderId& order = kOrder) {
    wait(take(job), job, order);
  }

  bool counted(const std::string& end, int times) const {
    return metrics.text().find("gatehouse_answer_waits_total{end=\"" + end + "\"} " +
                               std::to_string(times)) != std::string::npos;
  }

  using Sent = std::vector<std::string>;

  Completions::Clock::time_point now{};
  SteppedExecutor requests;
  Metrics metrics;
  Sent sent;
  std::unique_ptr<Completions> completions;
};

TEST_CASE("an answer waits until its job's run has ended, and is read anew on a request thread") {
  Fixture f;
  f.take_and_wait("a");
  f.take_and_wait("b");
  CHECK(f.completions->is_awaited("a"));
  CHECK(f.sent.empty());
  f.completions->complete("a");
  CHECK(f.sent.empty());  // not on the job's thread
  CHECK_FALSE(f.completions->is_awaited("a"));
  CHECK(f.requests.run() == 1);
  CHECK(f.sent == Fixture::Sent{"a anew"});
  f.completions->complete("a");
  f.completions->complete("nobody's");
  CHECK(f.requests.waiting() == 0);
  CHECK(f.completions->tick() == 1);
  CHECK(f.counted("job_ended", 1));
}

TEST_CASE("a run that ended before its answer came to wait is read anew at once") {
  Fixture f;
  Ticket ticket = f.take("a");
  CHECK(f.completions->is_awaited("a"));  // so that its outcome is written at once
  f.completions->complete("a");
  CHECK(f.sent.empty());
  f.wait(std::move(ticket), "a");
  CHECK(f.sent == Fixture::Sent{"a anew"});
  CHECK_FALSE(f.completions->is_awaited("a"));
}

TEST_CASE("where the request executor takes no more, the ready answer is sent") {
  Fixture f;
  f.take_and_wait("a");
  f.requests.set_full(true);
  f.completions->complete("a");
  CHECK(f.sent == Fixture::Sent{"a ready"});
  CHECK(f.counted("not_posted", 1));
}

TEST_CASE("an answer that has waited long enough is sent as it was, once") {
  Fixture f;
  f.take_and_wait("a");
  f.now += kLongest - milliseconds(1);
  CHECK(f.completions->tick() == 1);
  CHECK(f.sent.empty());
  f.now += milliseconds(1);
  CHECK(f.completions->tick() == 0);
  CHECK(f.sent == Fixture::Sent{"a ready"});
  f.completions->complete("a");
  CHECK(f.completions->tick() == 0);
  CHECK(f.requests.waiting() == 0);
  CHECK(f.sent.size() == 1);
  CHECK(f.counted("time_out", 1));
}

TEST_CASE("all answers for one order wait no longer than its budget together") {
  Fixture f;
  for (const char* job : {"a", "b"}) {
    f.take_and_wait(job);
    f.now += milliseconds(800);
    f.completions->complete(job);
  }
  f.take_and_wait("c");
  f.now += kLongest;
  CHECK(f.completions->tick() == 0);
  // 2.6 s are spent: the next waits for 0.4 s, the one after it not at all.
  f.take_and_wait("d");
  f.now += milliseconds(399);
  CHECK(f.completions->tick() == 1);
  f.now += milliseconds(1);
  CHECK(f.completions->tick() == 0);
  CHECK(f.sent == Fixture::Sent{"c ready", "d ready"});
  f.take_and_wait("e");
  CHECK(f.sent.back() == "e ready");
  CHECK(f.counted("over_budget", 1));
  // Another order has a budget of its own.
  f.take_and_wait("f", OrderId("other"));
  CHECK(f.sent.size() == 3);
}

TEST_CASE("the order whose budget is remembered longest is forgotten first") {
  Fixture f({.orders = 2});
  const auto waits = [&](const char* order) {
    const std::size_t sent = f.sent.size();
    f.take_and_wait(order, OrderId(order));
    f.now += kLongest;
    f.completions->tick();
    return f.sent.size() > sent && f.counted("over_budget", 0);
  };
  for (const char* order : {"1", "1", "1"}) CHECK(waits(order));
  for (const char* order : {"2", "3"}) CHECK(waits(order));
  CHECK(waits("1"));  // forgotten, for "3"
  for (const char* order : {"3", "3"}) CHECK(waits(order));
  CHECK_FALSE(waits("3"));
}

TEST_CASE("an account has a few tickets, the server a bounded number in all") {
  Fixture f({.per_account = 2, .in_all = 3});
  std::vector<Ticket> held;
  for (const char* job : {"a", "b"}) held.push_back(f.take(job));
  CHECK(held.back());
  CHECK_FALSE(f.take("c"));
  CHECK_FALSE(f.completions->is_awaited("c"));
  held.push_back(f.take("d", kBob));
  CHECK(held.back());
  CHECK_FALSE(f.take("e", AccountId("carol")));
  CHECK(f.counted("over_bound", 2));
  // A ticket that is not used is given back, one whose wait has ended too.
  held.erase(held.begin());
  f.wait(f.take("f"), "f");
  CHECK_FALSE(f.take("g"));
  f.completions->complete("f");
  CHECK(f.take("g"));
}

TEST_CASE("no time to wait means no ticket") {
  Fixture f;
  CHECK_FALSE(f.take("a", kAlice, milliseconds(0)));
  CHECK_FALSE(f.completions->is_awaited("a"));
}

TEST_CASE("at the end every answer goes out as it is ready, and none waits any more") {
  Fixture f;
  Ticket taken = f.take("a");
  f.take_and_wait("b");
  f.take_and_wait("c");
  f.completions->close();
  CHECK(f.sent == Fixture::Sent{"b ready", "c ready"});
  f.wait(std::move(taken), "a");
  CHECK(f.sent.back() == "a ready");
  CHECK_FALSE(f.take("d"));
  f.completions->complete("b");
  f.completions->close();
  CHECK(f.completions->tick() == 0);
  CHECK(f.requests.waiting() == 0);
  CHECK(f.sent.size() == 3);
  CHECK(f.counted("stopped", 4));
}

TEST_CASE("what still waits when a server goes is answered") {
  Fixture f;
  f.take_and_wait("a");
  f.completions.reset();
  CHECK(f.sent == Fixture::Sent{"a ready"});
}

TEST_CASE("the first answer that waits asks for ticks") {
  Fixture f;
  int asked = 0;
  f.completions->on_waiting([&] { ++asked; });
  Ticket ticket = f.take("a");
  CHECK(asked == 0);
  f.wait(std::move(ticket), "a");
  CHECK(asked == 1);
  f.take_and_wait("b");
  CHECK(asked == 1);
  for (const char* job : {"a", "b"}) f.completions->complete(job);
  f.take_and_wait("c");
  CHECK(asked == 2);
}

TEST_CASE("an outcome that an answer waits for is written without waiting for company") {
  constexpr std::chrono::seconds kLongDelay{60};
  Fixture f;
  const testing::TemporaryFolder folder;
  const auto database = sql::open(testing::test_store_options(folder));
  InlineExecutor housekeeper;
  Log log;
  testing::ManualClock clock;
  store::Store store(*database, housekeeper, clock, clock, log, f.metrics,
                     {.batch_delay = kLongDelay});
  const Ticket ticket = f.take("a");
  store::Job job;
  job.id = "a";
  const JobRun run(job, {}, f.completions.get());
  CHECK(run.is_awaited());
  const Deadline soon = Deadline::in(kLongDelay / 2);
  CHECK(write_outcome(store, run, [](store::Tx&) { return 7; }) == 7);
  CHECK_FALSE(soon.expired());
  job.id = "b";
  CHECK_FALSE(JobRun(job, {}, f.completions.get()).is_awaited());
  CHECK_FALSE(JobRun(job).is_awaited());
}

TEST_CASE("whoever comes first, each answer is sent exactly once") {
  constexpr std::size_t kJobs = 400;
  WorkerPool requests({.name = "requests", .threads = 2, .queue_limit = 8});  // often full
  Metrics metrics;
  Completions completions(requests, metrics, {.per_account = kJobs, .in_all = kJobs});
  std::array<std::atomic<int>, kJobs> sent{};
  std::atomic<std::size_t> taken = 0;
  {
    std::jthread client([&] {
      for (std::size_t i = 0; i < kJobs; ++i) {
        Ticket ticket = completions.take(std::to_string(i), kAlice, milliseconds(1 + i % 3));
        ++taken;
        if (!ticket) {  // closed
          ++sent.at(i);
          continue;
        }
        ticket.charge_to(OrderId(std::to_string(i)), kBudget);
        const auto send = [&sent, i] { ++sent.at(i); };
        std::move(ticket).wait({.anew = send, .ready = send});
      }
    });
    std::jthread lane([&] {
      for (std::size_t i = 0; i < kJobs; ++i) {
        while (taken <= i) std::this_thread::yield();
        completions.complete(std::to_string(i));
      }
    });
    const std::jthread ticker([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) completions.tick();
    });
    while (taken < kJobs / 2) std::this_thread::yield();
    completions.close();
    client.join();
    lane.join();
  }
  requests.drain();
  for (const auto& times : sent) CHECK(times == 1);
}

}  // namespace
}  // namespace gatehouse::service
