// Where work runs: a bounded pool of threads, or the caller's own thread in tests.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace gatehouse {

// Runs tasks. Safe to post to from any thread. Tasks do not throw.
class Executor {
 public:
  using Task = std::function<void()>;

  virtual ~Executor() = default;

  // Hands over `task`; false, at once, when the queue is full or closed: never a wait.
  virtual bool try_post(Task task) = 0;

  // How many more tasks would start at once rather than queue. A hint for who claims work ahead of
  // posting it.
  virtual std::size_t idle() const = 0;

  // How many tasks run at the same time at most. As it stands here for executors whose idle() never
  // changes.
  virtual std::size_t places() const { return idle(); }

  // Whether try_post() runs the task itself, before it returns.
  virtual bool runs_at_once() const { return false; }
};

// Runs each task inside try_post(), on the caller's thread.
class InlineExecutor final : public Executor {
 public:
  bool try_post(Task task) override;

  std::size_t idle() const override { return 1; }

  bool runs_at_once() const override { return true; }
};

// A fixed number of threads behind a bounded queue.
class WorkerPool final : public Executor {
 public:
  struct Options {
    std::string name;  // of the threads, at most 15 characters
    std::size_t threads = 1;
    std::size_t queue_limit = 256;  // tasks that wait, beyond those that run
  };

  explicit WorkerPool(Options options);
  ~WorkerPool() override;  // drains
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  bool try_post(Task task) override;
  std::size_t idle() const override;
  std::size_t places() const override;

  // Takes no more tasks, runs those that are queued, joins the threads. Safe to repeat; not from a
  // task of its own.
  void drain();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse
