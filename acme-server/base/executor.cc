#include "acme-server/base/executor.h"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/guarded.h"

namespace gatehouse {
namespace {

// What Linux keeps of a thread's name, without the final NUL.
constexpr std::size_t kMaxThreadName = 15;

}  // namespace

bool InlineExecutor::try_post(Task task) {
  task();
  return true;
}

struct WorkerPool::Impl {
  // What an idle worker is woken with: a task, or nothing at the end.
  struct Call {
    Task task;  // empty: none
    bool over = false;
  };

  using Worker = Guarded<Call>;

  // A worker that has nothing to do stands in `idle`, and the one that came last is called first:
  // its stack and what it has of the heap are still in the caches.
  struct State {
    std::deque<Task> queue;
    std::vector<Worker*> idle;
    std::size_t running = 0;
    bool closed = false;
  };

  explicit Impl(Options given) : options(std::move(given)) {}

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() { drain(); }

  void start();
  void drain();
  void work(Worker& worker) noexcept;
  // The worker's next task: from the queue, or what it is called with; an empty one at the end.
  Task next(Worker& worker, bool had_task);

  static void call(Worker& worker, Call with) {
    worker.with([&](Call& call) { call = std::move(with); });
    worker.notify_one();
  }

  const Options options;
  std::deque<Worker> workers;  // one for each thread, never moved
  Guarded<State> state;
  Guarded<std::vector<std::thread>>
      threads;  // locked while joining, so that a second drain() waits for the first
};

void WorkerPool::Impl::start() {
  threads.with([this](std::vector<std::thread>& started) {
    started.reserve(options.threads);
    while (started.size() < options.threads) {
      Worker& worker = workers.emplace_back();
      started.emplace_back([this, &worker] { work(worker); });
    }
  });
}

void WorkerPool::Impl::drain() {
  const std::vector<Worker*> idle = state.with([](State& s) {
    s.closed = true;
    return std::exchange(s.idle, {});
  });
  for (Worker* const worker : idle) {
    call(*worker, {.task = nullptr, .over = true});
  }
  threads.with([](std::vector<std::thread>& running) {
    ACME_CHECK(std::ranges::none_of(running, [](const std::thread& thread) {
      return thread.get_id() == std::this_thread::get_id();
    }));
    for (std::thread& thread : running) {
      thread.join();
    }
    running.clear();
  });
}

// The life of one thread. A task that throws breaks Executor's contract: noexcept ends the process
// where it happened.
void WorkerPool::Impl::work(Worker& worker) noexcept {
  ::pthread_setname_np(::pthread_self(), options.name.c_str());
  bool had_task = false;
  while (Task task = next(worker, had_task)) {
    task();
    task = nullptr;  // what the task holds goes before the thread counts as idle
    had_task = true;
  }
}

Executor::Task WorkerPool::Impl::next(Worker& worker, bool had_task) {
  Task task;
  const bool waits = state.with([&](State& s) {
    if (had_task) {
      --s.running;
    }
    if (!s.queue.empty()) {
      task = std::move(s.queue.front());
      s.queue.pop_front();
      ++s.running;
      return false;
    }
    if (s.closed) {
      return false;
    }
    s.idle.push_back(&worker);
    return true;
  });
  if (!waits) {
    return task;
  }
  return worker.wait([](const Call& call) { return call.over || call.task != nullptr; },
                     [](Call& call) { return std::exchange(call.task, nullptr); });
}

WorkerPool::WorkerPool(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  ACME_CHECK(impl_->options.threads >= 1);
  ACME_CHECK(impl_->options.name.size() <= kMaxThreadName);
  impl_->start();
}

WorkerPool::~WorkerPool() = default;

bool WorkerPool::try_post(Task task) {
  const std::size_t room = impl_->options.threads + impl_->options.queue_limit;
  Impl::Worker* worker = nullptr;
  const bool taken = impl_->state.with([&](Impl::State& state) {
    if (state.closed || state.running + state.queue.size() >= room) {
      return false;
    }
    if (state.idle.empty()) {
      state.queue.push_back(std::move(task));
    } else {
      worker = state.idle.back();
      state.idle.pop_back();
      ++state.running;
    }
    return true;
  });
  if (worker != nullptr) {
    Impl::call(*worker, {.task = std::move(task), .over = false});
  }
  return taken;
}

std::size_t WorkerPool::idle() const {
  const std::size_t threads = impl_->options.threads;
  return impl_->state.with([threads](const Impl::State& state) {
    const std::size_t busy = state.running + state.queue.size();
    return state.closed || busy >= threads ? 0 : threads - busy;
  });
}

std::size_t WorkerPool::places() const {
  return impl_->options.threads;
}

void WorkerPool::drain() {
  impl_->drain();
}

}  // namespace gatehouse
