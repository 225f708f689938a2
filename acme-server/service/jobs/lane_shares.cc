#include "acme-server/service/jobs/lane_shares.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/jobs.h"

namespace gatehouse::service {
namespace {

// Whether who holds `own` of the `held` ones among `places` may take one more.
bool may_take(std::size_t places, std::size_t held, std::size_t own) {
  return held < places && own < places - held;
}

// One account's due jobs, oldest first.
struct Waiting {
  std::deque<store::DueJob> cut_short, fresh;
};

}  // namespace

// A lane of one place gives full runs: a brief place alone would never end what hangs.
std::optional<RunLength> LaneShares::next_place(const State& state, const AccountId& account,
                                                bool needs_full) const {
  if (account.empty()) return RunLength::full;
  const std::size_t places = lane_.places();
  const std::size_t full = (places + 1) / 2;
  const auto found = state.accounts.find(account);
  const Held held = found == state.accounts.end() ? Held{} : found->second;
  if (may_take(full, state.full, held.full)) return RunLength::full;
  if (!needs_full && may_take(places - full, state.brief, held.brief)) return RunLength::brief;
  return std::nullopt;
}

void LaneShares::hold(State& state, const AccountId& account, RunLength length) {
  if (account.empty()) return;
  if (state.accounts.size() >= kRemembered && !state.accounts.contains(account)) {
    std::erase_if(state.accounts, [](const auto& entry) { return entry.second.all() == 0; });
  }
  Held& held = state.accounts[account];
  ++(length == RunLength::full ? held.full : held.brief);
  ++(length == RunLength::full ? state.full : state.brief);
  held.last_turn = ++state.turns;
}

bool LaneShares::has_room(const AccountId& account) const {
  return state_.with([&](const State& state) { return next_place(state, account, false); })
      .has_value();
}

std::optional<RunLength> LaneShares::take(const AccountId& account) {
  return state_.with([&](State& state) {
    const std::optional<RunLength> length = next_place(state, account, false);
    if (length) hold(state, account, *length);
    return length;
  });
}

void LaneShares::give_back(const AccountId& account, RunLength length) {
  if (account.empty()) return;
  state_.with([&](State& state) {
    Held& held = state.accounts.at(account);
    std::size_t& own = length == RunLength::full ? held.full : held.brief;
    std::size_t& all = length == RunLength::full ? state.full : state.brief;
    ACME_CHECK(own > 0 && all > 0);
    --own;
    --all;
  });
}

std::vector<LaneShares::Turn> LaneShares::take_turns(std::span<const store::DueJob> due,
                                                     std::size_t limit) {
  std::map<AccountId, Waiting> waiting;
  for (const store::DueJob& job : due) {
    Waiting& of_account = waiting[job.account];
    (job.cut_short ? of_account.cut_short : of_account.fresh).push_back(job);
  }
  return state_.with([&](State& state) {
    std::vector<Turn> turns;
    // The next job of the account and its place, if it may have one.
    const auto next_of =
        [&](const AccountId& account,
            Waiting& jobs) -> std::optional<std::pair<std::deque<store::DueJob>*, RunLength>> {
      for (auto* const queue : {&jobs.cut_short, &jobs.fresh}) {
        if (queue->empty()) continue;
        if (const auto length = next_place(state, account, queue == &jobs.cut_short)) {
          return std::pair(queue, *length);
        }
      }
      return std::nullopt;
    };
    while (turns.size() < limit) {
      // Fewest places, then the longest since its last turn, then the oldest job.
      using Rank = std::tuple<std::size_t, std::uint64_t, Instant>;
      std::optional<std::pair<Rank, std::pair<std::deque<store::DueJob>*, RunLength>>> best;
      for (auto& [account, jobs] : waiting) {
        const auto next = next_of(account, jobs);
        if (!next) continue;
        const auto held = state.accounts.find(account);
        const bool known = held != state.accounts.end();
        const Rank rank(known ? held->second.all() : 0, known ? held->second.last_turn : 0,
                        next->first->front().run_at);
        if (!best || rank < best->first) best.emplace(rank, *next);
      }
      if (!best) break;
      const auto [queue, length] = best->second;
      turns.push_back({.job = std::move(queue->front()), .length = length});
      queue->pop_front();
      hold(state, turns.back().job.account, length);
    }
    return turns;
  });
}

}  // namespace gatehouse::service
