// Guarded<T>: a T that cannot be reached without its lock.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace gatehouse {

// Holds a T and the mutex that guards it. with() runs a function on the T under the lock; keep such
// functions short and never call out of them into code that may take another lock.
template <class T>
class Guarded {
 public:
  Guarded() = default;

  explicit Guarded(T value) : value_(std::move(value)) {}

  // Runs `function(T&)` under the lock and returns what it returns.
  template <class Function>
  auto with(Function&& function) {
    const std::lock_guard lock(mutex_);
    return std::forward<Function>(function)(value_);
  }

  template <class Function>
  auto with(Function&& function) const {
    const std::lock_guard lock(mutex_);
    return std::forward<Function>(function)(value_);
  }

  // Waits until `ready(T&)` holds, then runs `function(T&)`; both under the lock. Whoever changes
  // the value so that `ready` may hold calls notify_one() or notify_all() afterwards.
  template <class Ready, class Function>
  auto wait(Ready&& ready, Function&& function) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready(value_); });
    return std::forward<Function>(function)(value_);
  }

  // As wait(), but no longer than `span`; runs `function` either way.
  template <class Span, class Ready, class Function>
  auto wait_for(Span span, Ready&& ready, Function&& function) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, span, [&] { return ready(value_); });
    return std::forward<Function>(function)(value_);
  }

  void notify_one() { changed_.notify_one(); }

  void notify_all() { changed_.notify_all(); }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  T value_{};
};

}  // namespace gatehouse
