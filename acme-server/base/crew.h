// Crew: threads that take turns at a few event loops, and run themselves what their loop gives them
// to do, so that a task which never waits costs no change of threads.
// docs/adr/0016-leader-runs-the-request.md tells why.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "acme-server/base/executor.h"

namespace gatehouse {

// Each loop has one thread at any time that leads it. A task that a leader posts is run by the
// leader itself, between two steps of its loop. When the task is about to block (base/blocking.h),
// or has not come to its end after a while, another thread leads on. The threads suffice for that
// whatever the tasks do: a leader runs a task only while fewer than Options::threads are under way,
// else the task waits in the queue like one of any other thread.
class Crew final : public Executor {
 public:
  // One step of a loop; waits for something to do if it is told to. False when the loop is over.
  // Does not throw. Called by one thread at a time.
  enum class Wait { no, yes };
  using Step = std::function<bool(Wait)>;

  struct Options {
    std::string name;  // of the threads, at most 15 characters
    std::size_t loops = 1;
    std::size_t threads = 1;                 // tasks that run at the same time
    std::size_t queue_limit = 256;           // tasks that wait beyond those
    std::chrono::milliseconds patience{10};  // with a task that does not say that it blocks
  };

  explicit Crew(Options options);
  ~Crew() override;  // drains
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Has `step` called again and again until it says false. At most Options::loops at a time.
  void lead(Step step);

  bool try_post(Task task) override;
  std::size_t idle() const override;

  // Takes no more tasks, runs those that it has, joins the threads. Safe to repeat. The loops must
  // be over.
  void drain();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse
