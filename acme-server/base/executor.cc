#include "acme-server/base/executor.h"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
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
  struct State {
    std::deque<Task> queue;
    std::size_t running = 0;
    bool closed = false;
  };

  explicit Impl(Options given) : options(std::move(given)) {}

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() { drain(); }

  void start();
  void drain();
  void work() noexcept;
  std::optional<Task> next();

  const Options options;
  Guarded<State> state;
  Guarded<std::vector<std::thread>>
      threads;  // locked while joining, so that a second drain() waits for the first
};

void WorkerPool::Impl::start() {
  threads.with([this](std::vector<std::thread>& started) {
    started.reserve(options.threads);
    while (started.size() < options.threads) {
      started.emplace_back([this] { work(); });
    }
  });
}

void WorkerPool::Impl::drain() {
  state.with([](State& s) { s.closed = true; });
  state.notify_all();
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
void WorkerPool::Impl::work() noexcept {
  ::pthread_setname_np(::pthread_self(), options.name.c_str());
  while (std::optional<Task> task = next()) {
    (*task)();
    task.reset();  // what the task holds goes before the thread counts as idle
    state.with([](State& s) { --s.running; });
  }
}

// Waits for a task; nothing when the pool is closed and its queue has run dry.
std::optional<Executor::Task> WorkerPool::Impl::next() {
  return state.wait([](const State& s) { return s.closed || !s.queue.empty(); },
                    [](State& s) -> std::optional<Task> {
                      if (s.queue.empty()) {
                        return std::nullopt;
                      }
                      Task task = std::move(s.queue.front());
                      s.queue.pop_front();
                      ++s.running;
                      return task;
                    });
}

WorkerPool::WorkerPool(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  ACME_CHECK(impl_->options.threads >= 1);
  ACME_CHECK(impl_->options.name.size() <= kMaxThreadName);
  impl_->start();
}

WorkerPool::~WorkerPool() = default;

bool WorkerPool::try_post(Task task) {
  const std::size_t room = impl_->options.threads + impl_->options.queue_limit;
  const bool taken = impl_->state.with([&](Impl::State& state) {
    if (state.closed || state.running + state.queue.size() >= room) {
      return false;
    }
    state.queue.push_back(std::move(task));
    return true;
  });
  if (taken) {
    impl_->state.notify_one();
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

void WorkerPool::drain() {
  impl_->drain();
}

}  // namespace gatehouse
