#include "acme-server/service/jobs/completions.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/ids.h"

namespace gatehouse::service {
namespace {

using std::chrono::milliseconds;

// How long the answers for each order have waited so far.
class SpentTimes {
 public:
  explicit SpentTimes(std::size_t limit) : limit_(limit) {}

  Completions::Clock::duration of(const OrderId& order) const {
    const auto found = spent_.find(order);
    return found == spent_.end() ? Completions::Clock::duration(0) : found->second;
  }

  void add(const OrderId& order, Completions::Clock::duration span) {
    const auto [entry, added] = spent_.try_emplace(order);
    entry->second += span;
    if (!added) return;
    oldest_.push_back(order);
    if (oldest_.size() > limit_) {
      spent_.erase(oldest_.front());
      oldest_.pop_front();
    }
  }

 private:
  std::size_t limit_;
  std::unordered_map<OrderId, Completions::Clock::duration> spent_;
  std::deque<OrderId> oldest_;  // first
};

// One ticket that is in somebody's hands, or whose answer waits.
struct Place {
  AccountId account;
  bool run_ended = false;  // before the answer came to wait
  // The rest once it waits.
  std::optional<WaitingAnswer> answer = {};
  OrderId order = {};
  Completions::Clock::time_point began = {}, until = {};
};

using Places = std::map<std::string, Place, std::less<>>;  // by job

struct State {
  Places places;
  std::map<AccountId, std::size_t> of_account;
  std::size_t waiting = 0;  // places with an answer
  SpentTimes spent;
  bool closed = false;
};

// Takes a place out; its answer, if it has one.
std::optional<WaitingAnswer> remove(State& state, Places::iterator at,
                                    Completions::Clock::time_point now) {
  Place place = std::move(at->second);
  state.places.erase(at);
  const auto account = state.of_account.find(place.account);
  if (--account->second == 0) state.of_account.erase(account);
  if (place.answer) {
    --state.waiting;
    state.spent.add(place.order, now - place.began);
  }
  return std::move(place.answer);
}

}  // namespace

struct Completions::Impl {
  Impl(Executor& given_requests, Metrics& metrics, Options given)
      : requests(given_requests),
        options(std::move(given)),
        state(State{.places = {}, .of_account = {}, .spent = SpentTimes(options.orders)}),
        waiting(metrics.gauge("gatehouse_answers_waiting",
                              "Answers that wait for the first run of a job.")),
        job_ended(count(metrics, "job_ended")),
        time_out(count(metrics, "time_out")),
        over_budget(count(metrics, "over_budget")),
        over_bound(count(metrics, "over_bound")),
        not_posted(count(metrics, "not_posted")),
        stopped(count(metrics, "stopped")) {}

  static Counter count(Metrics& metrics, const char* end) {
    return metrics.counter("gatehouse_answer_waits_total",
                           "Answers that might wait for a job, by what ended or forbade it.",
                           {{"end", end}});
  }

  template <class Select>
  std::size_t send_ready(const Counter& why, const Select& select);

  void show_waiting(const State& s) const { waiting.set(static_cast<double>(s.waiting)); }

  Executor& requests;
  const Options options;
  Guarded<State> state;
  Guarded<std::function<void()>> listener;
  Gauge waiting;
  Counter job_ended, time_out, over_budget, over_bound, not_posted, stopped;
};

// Sends the ready answer of each waiting place that `select` picks, and counts it under `why`;
// returns how many go on waiting.
template <class Select>
std::size_t Completions::Impl::send_ready(const Counter& why, const Select& select) {
  std::vector<WaitingAnswer> over;
  const Completions::Clock::time_point now = options.now();
  const std::size_t left = state.with([&](State& s) {
    for (auto at = s.places.begin(); at != s.places.end();) {
      const auto here = at++;
      if (here->second.answer && select(here->second, now)) {
        over.push_back(remove(s, here, now).value());
      }
    }
    show_waiting(s);
    return s.waiting;
  });
  for (const WaitingAnswer& answer : over) {
    why.add();
    answer.ready();
  }
  return left;
}

Completions::Completions(Executor& requests, Metrics& metrics, Options options)
    : impl_(std::make_unique<Impl>(requests, metrics, std::move(options))) {}

Completions::~Completions() {
  close();
}

Ticket Completions::take(const std::string& job, const AccountId& account, milliseconds longest) {
  if (longest.count() <= 0) return {};
  enum class Taken { yes, full, closed };
  const Taken taken = impl_->state.with([&](State& state) {
    if (state.closed) return Taken::closed;
    const auto held = state.of_account.find(account);
    if (state.places.size() >= impl_->options.in_all ||
        (held != state.of_account.end() && held->second >= impl_->options.per_account)) {
      return Taken::full;
    }
    const bool added = state.places.emplace(job, Place{.account = account}).second;
    ACME_CHECK(added);  // a job's row id is random
    ++state.of_account[account];
    return Taken::yes;
  });
  if (taken == Taken::yes) return {this, job, longest};
  (taken == Taken::full ? impl_->over_bound : impl_->stopped).add();
  return {};
}

bool Completions::is_awaited(std::string_view job) const {
  return impl_->state.with([&](const State& state) { return state.places.contains(job); });
}

void Completions::complete(std::string_view job) {
  std::optional<WaitingAnswer> answer =
      impl_->state.with([&](State& state) -> std::optional<WaitingAnswer> {
        const auto at = state.places.find(job);
        if (at == state.places.end()) return std::nullopt;
        if (!at->second.answer) {
          at->second.run_ended = true;
          return std::nullopt;
        }
        auto taken = remove(state, at, impl_->options.now());
        impl_->show_waiting(state);
        return taken;
      });
  if (!answer) return;
  if (impl_->requests.try_post(std::move(answer->anew))) {
    impl_->job_ended.add();
  } else {
    impl_->not_posted.add();
    answer->ready();
  }
}

void Completions::wait(const Ticket& ticket, WaitingAnswer answer) {
  enum class Next { waits, waits_first, run_ended, over_budget, closed };
  const Completions::Clock::time_point now = impl_->options.now();
  const Next next = impl_->state.with([&](State& state) {
    const auto at = state.places.find(ticket.job_);
    ACME_CHECK(at != state.places.end());
    Place& place = at->second;
    const auto left = ticket.budget_ - state.spent.of(ticket.order_);
    const Next decided = place.run_ended      ? Next::run_ended
                         : state.closed       ? Next::closed
                         : left.count() <= 0  ? Next::over_budget
                         : state.waiting == 0 ? Next::waits_first
                                              : Next::waits;
    if (decided != Next::waits && decided != Next::waits_first) {
      remove(state, at, now);
      return decided;
    }
    place.order = ticket.order_;
    place.began = now;
    place.until = now + std::min<Completions::Clock::duration>(ticket.longest_, left);
    place.answer = std::move(answer);
    ++state.waiting;
    impl_->show_waiting(state);
    return decided;
  });
  switch (next) {
    case Next::waits:
      return;
    case Next::waits_first:
      if (const auto tell = impl_->listener.with([](const auto& held) { return held; })) tell();
      return;
    case Next::run_ended:
      impl_->job_ended.add();
      return answer.anew();
    case Next::over_budget:
      impl_->over_budget.add();
      return answer.ready();
    case Next::closed:
      impl_->stopped.add();
      return answer.ready();
  }
}

void Completions::give_back(const std::string& job) {
  impl_->state.with([&](State& state) {
    const auto at = state.places.find(job);
    ACME_CHECK(at != state.places.end());
    remove(state, at, {});
  });
}

std::size_t Completions::tick() {
  return impl_->send_ready(
      impl_->time_out,
      [](const Place& place, Completions::Clock::time_point now) { return now >= place.until; });
}

void Completions::on_waiting(std::function<void()> listener) {
  impl_->listener.with([&](auto& held) { held = std::move(listener); });
}

void Completions::close() {
  impl_->state.with([](State& state) { state.closed = true; });
  impl_->send_ready(impl_->stopped,
                    [](const Place&, Completions::Clock::time_point) { return true; });
}

Ticket::~Ticket() {
  if (completions_ != nullptr) completions_->give_back(job_);
}

Ticket::Ticket(Ticket&& other) noexcept
    : completions_(std::exchange(other.completions_, nullptr)),
      job_(std::move(other.job_)),
      order_(std::move(other.order_)),
      longest_(other.longest_),
      budget_(other.budget_) {}

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  Ticket old(std::move(*this));
  completions_ = std::exchange(other.completions_, nullptr);
  job_ = std::move(other.job_);
  order_ = std::move(other.order_);
  longest_ = other.longest_;
  budget_ = other.budget_;
  return *this;
}

void Ticket::charge_to(const OrderId& order, milliseconds budget) {
  order_ = order;
  budget_ = budget;
}

void Ticket::wait(WaitingAnswer answer) && {
  ACME_CHECK(completions_ != nullptr);
  std::exchange(completions_, nullptr)->wait(*this, std::move(answer));
}

}  // namespace gatehouse::service
