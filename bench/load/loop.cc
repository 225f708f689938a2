#include "bench/load/loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace gatehouse::bench {

namespace {

constexpr std::size_t kEventsPerTurn = 256;

void tell_epoll(int epoll, int descriptor, std::uint32_t before, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = descriptor;
  const int operation = before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll, operation, descriptor, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_.get() < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

void Loop::wait_for(int descriptor, Until until, Clock::time_point deadline, Waiter waiter) {
  Socket& socket = sockets_[descriptor];
  socket.handle = waiter.handle;
  socket.ready = waiter.ready;
  socket.waiting = true;
  socket.timer = timers_.emplace(deadline, waiter);
  // Edge-triggered and armed for one direction: a socket that waits again for the same thing, as
  // nearly all do, costs no system call. The caller has just seen EAGAIN.
  const std::uint32_t wanted = (until == Until::readable ? EPOLLIN : EPOLLOUT) | EPOLLET;
  if (socket.events != wanted) tell_epoll(epoll_.get(), descriptor, socket.events, wanted);
  socket.events = wanted;
}

void Loop::watch(int descriptor, void* object, Callback on_readable) {
  Socket& socket = sockets_[descriptor];
  socket.object = object;
  socket.callback = on_readable;
  tell_epoll(epoll_.get(), descriptor, socket.events, EPOLLIN);
  socket.events = EPOLLIN;
}

void Loop::forget(int descriptor) {
  const auto found = sockets_.find(descriptor);
  if (found == sockets_.end()) return;
  if (found->second.waiting) timers_.erase(found->second.timer);
  sockets_.erase(found);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

void Loop::on_event(int descriptor) {
  const auto found = sockets_.find(descriptor);
  if (found == sockets_.end()) return;  // closed by an earlier event of this turn
  Socket& socket = found->second;
  if (socket.callback != nullptr) return socket.callback(socket.object, descriptor);
  if (!socket.waiting) return;
  socket.waiting = false;
  timers_.erase(socket.timer);
  *socket.ready = true;
  socket.handle.resume();
}

void Loop::turn(Clock::duration longest) {
  auto wait = longest;
  if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first - Clock::now());
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  std::array<epoll_event, kEventsPerTurn> events;
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                 static_cast<int>(std::max<std::chrono::milliseconds::rep>(0, milliseconds)));
  for (int i = 0; i < count; ++i) on_event(events[static_cast<std::size_t>(i)].data.fd);
  for (const auto now = Clock::now(); !timers_.empty() && timers_.begin()->first <= now;) {
    const Waiter waiter = timers_.begin()->second;
    timers_.erase(timers_.begin());
    if (waiter.descriptor >= 0) sockets_[waiter.descriptor].waiting = false;
    waiter.handle.resume();
  }
}

}  // namespace gatehouse::bench
