#include "acme-server/base/crew.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/blocking.h"
#include "acme-server/base/check.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"

namespace gatehouse {
namespace {

// A loop, and what its leader is at.
struct Loop {
  Crew::Step step;
  // The task that the leader runs, by its number; 0: none, or it leads no more. Whoever puts 0 for
  // the number has ended that thread's lead, or the task.
  std::atomic<std::uint64_t> task = 0;
  std::atomic<std::uint64_t> tasks = 0;  // how many there were; no number comes twice
  std::uint64_t seen_task = 0;           // by the watch, at its last look,
  std::uint64_t seen_tasks = 0;          // which these two are alone
};

}  // namespace

struct Crew::Impl {
  // A task is under way from when it is taken, or from its turn in the queue, to its end.
  struct State {
    std::size_t under_way = 0;
    std::deque<Task> queue;
    std::list<Loop> loops;
    std::size_t led = 0;
    bool closed = false;
  };

  // A thread while it leads, and until it has done with what it took over as the leader.
  struct Leader final : BeforeBlocking {
    Leader(Impl& the_crew, Loop& the_loop) : crew(the_crew), loop(the_loop) {}

    void before_blocking() noexcept override { crew.relieve(loop, number); }

    Impl& crew;
    Loop& loop;
    std::uint64_t number = 0;  // of the task that runs
    bool leads = true;
    Task next;  // under way, to be run after this step
  };

  explicit Impl(Options given)
      : options(std::move(given)),
        pool({.name = options.name,
              .threads = options.threads + options.loops,
              .queue_limit = options.threads + options.loops}),
        watch([this](const std::stop_token& stop) { keep_watch(stop); }) {}

  void lead(Loop& loop);
  void run_as_leader(Leader& self);
  void relieve(Loop& loop, std::uint64_t number) noexcept;
  bool hand_to_pool(Task task);
  void run_all(Task task);
  Task end_of_task();
  bool look();
  void keep_watch(const std::stop_token& stop);
  void wake_watch();

  const Options options;
  Guarded<State> state;
  std::atomic<bool> watch_rests = false;
  Guarded<bool> watch_called;
  WorkerPool pool;
  std::jthread watch;

  static thread_local Leader* leader;  // this thread, if it is one
};

thread_local Crew::Impl::Leader* Crew::Impl::leader = nullptr;

void Crew::Impl::lead(Loop& loop) {
  Leader self(*this, loop);
  leader = &self;
  bool over = false;
  while (self.leads && !over) {
    over = !loop.step(self.next ? Wait::no : Wait::yes);
    if (self.next && !over) run_as_leader(self);
  }
  leader = nullptr;
  if (over) {
    loop.step = nullptr;
    state.with([](State& s) { --s.led; });
  }
  run_all(std::exchange(self.next, nullptr));
}

void Crew::Impl::run_as_leader(Leader& self) {
  Task task = std::exchange(self.next, nullptr);
  self.number = self.loop.tasks.fetch_add(1) + 1;
  self.loop.task.store(self.number);
  if (watch_rests.load()) wake_watch();
  {
    const BlockingListener listener(self);
    task();
  }
  task = nullptr;  // what the task holds goes before it counts as ended
  std::uint64_t number = self.number;
  self.leads = self.loop.task.compare_exchange_strong(number, 0);
  // Where all that may run at once do, somebody else's task has waited for the end of this one.
  if (Task queued = end_of_task()) ACME_CHECK(hand_to_pool(std::move(queued)));
}

// Ends the lead of the thread that runs task `number`, if it does still, and has another lead on.
void Crew::Impl::relieve(Loop& loop, std::uint64_t number) noexcept {
  if (!loop.task.compare_exchange_strong(number, 0)) return;
  // There is a thread: each runs a task under way, of which there are at most options.threads, or
  // leads a loop. At most it has still to come back from its last task.
  ACME_CHECK(pool.try_post([this, &loop] { lead(loop); }));
}

// False once the pool has been drained.
bool Crew::Impl::hand_to_pool(Task task) {
  return pool.try_post([this, task = std::move(task)]() mutable { run_all(std::move(task)); });
}

// Runs a task that is under way, then those of the queue.
void Crew::Impl::run_all(Task task) {
  while (task) {
    task();
    task = nullptr;  // what the task holds goes before it counts as ended
    task = end_of_task();
  }
}

// What is next in the queue, under way in place of the one that has ended.
Executor::Task Crew::Impl::end_of_task() {
  return state.with([](State& s) -> Task {
    if (s.queue.empty()) {
      --s.under_way;
      return nullptr;
    }
    Task next = std::move(s.queue.front());
    s.queue.pop_front();
    return next;
  });
}

// Relieves the leaders that are still at the task they were at when it looked last. Whether there
// was any task since.
bool Crew::Impl::look() {
  const auto loops = state.with([](State& s) {
    std::vector<Loop*> all;
    for (Loop& loop : s.loops) all.push_back(&loop);
    return all;
  });
  bool any = false;
  for (Loop* const loop : loops) {
    const std::uint64_t task = loop->task.load();
    if (task != 0 && task == std::exchange(loop->seen_task, task)) relieve(*loop, task);
    const std::uint64_t tasks = loop->tasks.load();
    any = task != 0 || tasks != std::exchange(loop->seen_tasks, tasks) || any;
  }
  return any;
}

// Looks once in options.patience, and rests while there is nothing to see.
void Crew::Impl::keep_watch(const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { wake_watch(); });
  const auto called = [](const bool& flag) { return flag; };
  const auto reset = [](bool& flag) { flag = false; };
  while (!stop.stop_requested()) {
    if (look()) {
      watch_called.wait_for(
          options.patience, [&](const bool&) { return stop.stop_requested(); }, reset);
      continue;
    }
    watch_rests = true;
    // A task that began before it was said that the watch rests is seen here; a later one calls.
    if (!look()) watch_called.wait(called, reset);
    watch_rests = false;
  }
}

void Crew::Impl::wake_watch() {
  watch_called.with([](bool& flag) { flag = true; });
  watch_called.notify_one();
}

Crew::Crew(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Crew::~Crew() {
  drain();
}

void Crew::lead(Step step) {
  Loop* const loop = impl_->state.with([&](Impl::State& state) {
    ACME_CHECK(!state.closed && state.led < impl_->options.loops);
    ++state.led;
    state.loops.emplace_back().step = std::move(step);
    return &state.loops.back();
  });
  ACME_CHECK(impl_->pool.try_post([impl = impl_.get(), loop] { impl->lead(*loop); }));
}

bool Crew::try_post(Task task) {
  Impl& impl = *impl_;
  enum class Next { refused, waits, runs };
  const Next next = impl.state.with([&](Impl::State& state) {
    if (state.closed) return Next::refused;
    if (state.under_way < impl.options.threads) {
      ++state.under_way;
      return Next::runs;
    }
    if (state.queue.size() >= impl.options.queue_limit) return Next::refused;
    state.queue.push_back(std::move(task));
    return Next::waits;
  });
  if (next != Next::runs) return next == Next::waits;
  Impl::Leader* const leader = Impl::leader;
  if (leader != nullptr && &leader->crew == &impl && !leader->next) {
    leader->next = std::move(task);
  } else {
    if (!impl.hand_to_pool(std::move(task))) {
      (void)impl.end_of_task();
      return false;
    }
  }
  return true;
}

std::size_t Crew::idle() const {
  const std::size_t threads = impl_->options.threads;
  return impl_->state.with([threads](const Impl::State& state) {
    return state.closed || state.under_way >= threads ? 0 : threads - state.under_way;
  });
}

void Crew::drain() {
  impl_->state.with([](Impl::State& state) { state.closed = true; });
  impl_->pool.drain();
  impl_->watch.request_stop();
  if (impl_->watch.joinable()) impl_->watch.join();
}

}  // namespace gatehouse
