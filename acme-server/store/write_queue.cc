#include "acme-server/store/write_queue.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"

namespace gatehouse::store {
namespace {

using Call = WriteMember::Call;

void tell(WriteMember& member, Call what) {
  member.call.with([what](Call& call) { call = what; });
  member.call.notify_one();
}

bool is_answered(const WriteMember& member) {
  return member.call.with([](const Call& call) { return call == Call::answered; });
}

}  // namespace

WriteQueue::WriteQueue(Options options, Gauge waiting, Run run, After after)
    : options_(options),
      waiting_(waiting),
      run_(std::move(run)),
      after_(std::move(after)),
      state_(std::make_shared<Guarded<State>>()) {}

WriteQueue::~WriteQueue() {
  state_->wait([](const State& state) { return !state.led; }, [](const State&) {});
}

bool WriteQueue::write(const std::shared_ptr<WriteMember>& member) {
  enum class Next { full, wait, lead };
  const bool batched = member->mode == CommitMode::batched && options_.batch_delay.count() > 0;
  const Next next = state_->with([&](State& state) {
    if (state.waiting.size() >= options_.queue_limit) {
      return Next::full;
    }
    if (!batched) {
      member->mode = CommitMode::now;
    }
    state.waiting.push_back(member);
    waiting_.set(static_cast<double>(state.waiting.size()));
    return batched || std::exchange(state.led, true) ? Next::wait : Next::lead;
  });
  if (next == Next::full) {
    return false;
  }
  if (next == Next::lead) {
    lead(*member);
    return true;
  }
  const auto called = [](const Call& call) { return call != Call::none; };
  const auto what = [](const Call& call) { return call; };
  if (batched) {
    const Call call = member->call.wait_for(options_.batch_delay, called, what);
    if (call == Call::answered) {
      return true;
    }
    // The delay is over: this one leads, or waits for a leader like the others.
    const bool leads = call == Call::lead || state_->with([&](State& state) {
      member->mode = CommitMode::now;
      return !std::exchange(state.led, true);
    });
    if (leads) {
      lead(*member);
      return true;
    }
  }
  if (member->call.wait(called, what) == Call::lead) {
    lead(*member);
  }
  return true;
}

WriteGroup WriteQueue::take() {
  return state_->with([&](State& state) {
    const auto count = std::min(state.waiting.size(), options_.group_limit);
    const auto end = state.waiting.begin() + static_cast<std::ptrdiff_t>(count);
    WriteGroup taken(std::move_iterator(state.waiting.begin()), std::move_iterator(end));
    state.waiting.erase(state.waiting.begin(), end);
    waiting_.set(static_cast<double>(state.waiting.size()));
    return taken;
  });
}

// Writes more than one group only when a full group was ahead of the leader.
void WriteQueue::lead(const WriteMember& self) noexcept {
  while (!is_answered(self)) {
    const WriteGroup group = take();
    run_(group);
    for (const std::shared_ptr<WriteMember>& member : group) {
      tell(*member, Call::answered);
    }
  }
  after_([state = state_] {
    const std::shared_ptr<WriteMember> next = state->with([](State& s) {
      const auto urgent = std::ranges::find_if(
          s.waiting, [](const auto& member) { return member->mode == CommitMode::now; });
      s.led = urgent != s.waiting.end();
      return s.led ? *urgent : nullptr;
    });
    if (next) {
      tell(*next, Call::lead);
    } else {
      state->notify_all();  // the queue may be gone from here on
    }
  });
}

}  // namespace gatehouse::store
