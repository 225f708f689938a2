// Completions: answers that wait for the first run of the job that their request began, and no
// thread with them. docs/adr/0019-answers-wait-for-their-job.md tells why.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "acme-server/base/executor.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/ids.h"

namespace gatehouse::service {

class Completions;

// The two ways to end a wait. Exactly one of them is called, once. Neither throws.
struct WaitingAnswer {
  // The job's run has ended and its COMMIT is done: reads the resource anew and sends that. On the
  // request executor; may block.
  std::function<void()> anew;
  // Sends the answer as it was when the request was handled. On any thread; must not block.
  std::function<void()> ready;
};

// The right to wait for one job's run. Taken before the write that begins the job, since the run
// may have ended before that write returns. An empty ticket waits for nothing; one that is dropped
// without wait() is given back. Used by one thread at a time; does not outlive its Completions.
class Ticket final {
 public:
  Ticket() = default;
  ~Ticket();
  Ticket(Ticket&& other) noexcept;
  Ticket& operator=(Ticket&& other) noexcept;
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  explicit operator bool() const { return completions_ != nullptr; }

  // Whose budget the wait is charged to: all answers for `order` together wait no longer than
  // `budget`. Before wait().
  void charge_to(const OrderId& order, std::chrono::milliseconds budget);

  // Uses the ticket up. Called on a request thread: if there is nothing to wait for any more (the
  // run has ended, the order's budget is spent, the server stops), `answer` is called before this
  // returns.
  void wait(WaitingAnswer answer) &&;

 private:
  friend class Completions;

  Ticket(Completions* completions, std::string job, std::chrono::milliseconds longest)
      : completions_(completions), job_(std::move(job)), longest_(longest) {}

  Completions* completions_ = nullptr;
  std::string job_;
  OrderId order_;
  std::chrono::milliseconds longest_{}, budget_{};
};

// All waiting answers of one Server. Safe from any thread. `requests` outlives it.
class Completions final {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::size_t per_account = 8;  // tickets; clients that answer challenges in parallel use a few
    std::size_t in_all = 1024;    // each holds a connection, a request and its answer
    // Orders whose budgets are remembered. The oldest is forgotten first: then it may wait again.
    std::size_t orders = 4096;
    std::function<Clock::time_point()> now = [] { return Clock::now(); };
  };

  Completions(Executor& requests, Metrics& metrics, Options options);

  Completions(Executor& requests, Metrics& metrics) : Completions(requests, metrics, Options{}) {}

  ~Completions();  // close()
  Completions(const Completions&) = delete;
  Completions& operator=(const Completions&) = delete;

  // A ticket for the job with the row id `job`, which nobody has begun yet; an answer waits with it
  // for at most `longest`. Empty when that is zero, when the account or the server has as many
  // tickets as they may, and once closed.
  Ticket take(const std::string& job, const AccountId& account, std::chrono::milliseconds longest);

  // Whether an answer waits for this job's run, or may be about to.
  bool is_awaited(std::string_view job) const;

  // The job's run has ended, in whatever way, and its COMMIT is done: the answer that waits for it
  // is read anew and sent. Does nothing when none waits. Does not throw.
  void complete(std::string_view job);

  // Sends the ready answers whose wait is over; returns how many go on waiting. To be called every
  // few milliseconds while any waits.
  std::size_t tick();

  // Called when the first answer begins to wait; then ticks are needed. Does not block. Set before
  // anything waits.
  void on_waiting(std::function<void()> listener);

  // For a stop: sends every ready answer, and no answer waits any more. Safe to repeat.
  void close();

 private:
  friend class Ticket;

  void wait(const Ticket& ticket, WaitingAnswer answer);
  void give_back(const std::string& job);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::service
