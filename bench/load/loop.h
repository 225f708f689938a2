// Loop: epoll and a clock for coroutines of one thread.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>

namespace gatehouse::bench {

using Clock = std::chrono::steady_clock;

// Owns one descriptor.
class Descriptor final {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}

  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  int get() const { return number_; }

 private:
  int number_;
};

enum class Until { readable, writable };

class Loop final {
 public:
  Loop();

  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Awaited, gives true when the socket is ready and false when `deadline` came first. A socket has
  // one waiter at a time, and forget() before it is closed.
  auto ready(int descriptor, Until until, Clock::time_point deadline);
  // Awaited, waits.
  auto sleep(Clock::duration span);
  // Level-triggered: `on_readable(object)` each time there is something to read.
  using Callback = void (*)(void* object, int descriptor);
  void watch(int descriptor, void* object, Callback on_readable);
  void forget(int descriptor);

  // Runs what is due; waits for at most `longest`.
  void turn(Clock::duration longest);

 private:
  struct Waiter {
    std::coroutine_handle<> handle;
    bool* ready = nullptr;
    int descriptor = -1;
  };

  using Timers = std::multimap<Clock::time_point, Waiter>;

  struct Socket {
    std::coroutine_handle<> handle;
    bool* ready = nullptr;
    Timers::iterator timer;
    bool waiting = false;
    void* object = nullptr;
    Callback callback = nullptr;
    std::uint32_t events = 0;  // that epoll was told
  };

  struct ReadyAwaiter;
  struct SleepAwaiter;

  void wait_for(int descriptor, Until until, Clock::time_point deadline, Waiter waiter);
  void on_event(int descriptor);

  Descriptor epoll_;
  Timers timers_;
  std::unordered_map<int, Socket> sockets_;
};

struct Loop::ReadyAwaiter {
  Loop& loop;
  int descriptor;
  Until until;
  Clock::time_point deadline;
  bool ready = false;

  bool await_ready() const noexcept { return false; }

  void await_suspend(std::coroutine_handle<> handle) {
    loop.wait_for(descriptor, until, deadline,
                  {.handle = handle, .ready = &ready, .descriptor = descriptor});
  }

  bool await_resume() const noexcept { return ready; }
};

struct Loop::SleepAwaiter {
  Loop& loop;
  Clock::duration span;

  bool await_ready() const noexcept { return false; }

  void await_suspend(std::coroutine_handle<> handle) const {
    loop.timers_.emplace(Clock::now() + span,
                         Waiter{.handle = handle, .ready = nullptr, .descriptor = -1});
  }

  void await_resume() const noexcept {}
};

inline auto Loop::ready(int descriptor, Until until, Clock::time_point deadline) {
  return ReadyAwaiter{
      .loop = *this, .descriptor = descriptor, .until = until, .deadline = deadline};
}

inline auto Loop::sleep(Clock::duration span) {
  return SleepAwaiter{.loop = *this, .span = span};
}

}  // namespace gatehouse::bench
