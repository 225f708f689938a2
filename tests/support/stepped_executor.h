// SteppedExecutor: a lane whose tasks wait until a test runs them on its own thread. As on
// production's lanes, a task never runs inside try_post(), so that jobs begin with the COMMIT that
// wrote them; unlike there, nothing happens unless the test says so.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"

namespace gatehouse::testing {

// Posting is safe from any thread; the rest is for the test's thread. A task may post, and may run
// other tasks.
class SteppedExecutor final : public Executor {
 public:
  // Which of `waiting` tasks, counted from 0 in the order of their posting, runs next.
  using Choose = std::function<std::size_t(std::size_t waiting)>;

  static constexpr std::size_t kPlaces = 32;  // as production's lanes have

  bool try_post(Task task) override {
    if (runs_at_once()) {
      task();
      return true;
    }
    return state_.with([&](State& state) {
      if (state.full) return false;
      state.tasks.push_back(std::move(task));
      return true;
    });
  }

  // The places that no task has, whether it waits or runs.
  std::size_t idle() const override {
    return state_.with([](const State& state) {
      return state.places - std::min(state.places, state.tasks.size() + state.running);
    });
  }

  std::size_t places() const override {
    return state_.with([](const State& state) { return state.places; });
  }

  // While it is on, tasks run on the poster's thread, as on an InlineExecutor: for a start, which
  // waits for a job.
  void set_inline(bool on) {
    state_.with([&](State& state) { state.runs_inline = on; });
  }

  bool runs_at_once() const override {
    return state_.with([](const State& state) { return state.runs_inline; });
  }

  // How many tasks there is room for. None: idle() says so, and what is posted waits all the same.
  void set_places(std::size_t places) {
    state_.with([&](State& state) { state.places = places; });
  }

  // A full lane refuses what is posted, whatever idle() says: it has filled up since.
  void set_full(bool full) {
    state_.with([&](State& state) { state.full = full; });
  }

  // An empty one: the oldest task.
  void set_choose(Choose choose) { choose_ = std::move(choose); }

  std::size_t waiting() const {
    return state_.with([](const State& state) { return state.tasks.size(); });
  }

  // Runs one task; false when none waits.
  bool step() {
    const std::size_t count = waiting();
    if (count == 0) return false;
    const std::size_t index = choose_ ? choose_(count) : 0;
    const Running running(*this);
    const Task task = state_.with([&](State& state) {
      const auto chosen = state.tasks.begin() + static_cast<std::ptrdiff_t>(index);
      Task taken = std::move(*chosen);
      state.tasks.erase(chosen);
      return taken;
    });
    task();
    return true;
  }

  // Runs tasks until none waits, those that they post included. How many.
  std::size_t run() {
    std::size_t ran = 0;
    while (step()) ++ran;
    return ran;
  }

  // What waits never runs: its process has died.
  void clear() {
    state_.with([](State& state) { state.tasks.clear(); });
  }

 private:
  struct State {
    std::size_t places = kPlaces;
    bool full = false;
    bool runs_inline = false;
    std::size_t running = 0;
    std::vector<Task> tasks;
  };

  // A task of a "dead" process may throw SimulatedCrash.
  class Running final {
   public:
    explicit Running(SteppedExecutor& of) : of_(of) {
      of_.state_.with([](State& state) { ++state.running; });
    }

    ~Running() {
      of_.state_.with([](State& state) { --state.running; });
    }

    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    SteppedExecutor& of_;
  };

  Guarded<State> state_;
  Choose choose_;
};

}  // namespace gatehouse::testing
