// LaneShares: how the accounts whose jobs share a lane take turns at its places.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/jobs.h"

namespace gatehouse::service {

// How long a run may keep its place. A brief one that is not done in time is cut short: it does not
// count, and the job comes again for a full one.
enum class RunLength { full, brief };

// How long a brief run may wait for others: most servers answer sooner, and nobody waits longer for
// a place where runs are brief.
inline constexpr std::chrono::milliseconds kBriefRun{1000};

// The first half of a lane's places are for full runs, the others for brief ones. Of each half an
// account may hold as many as are free beside it: one account alone gets half of them, four get
// three or four of sixteen each and leave some free, and forty get one each. So an account that
// comes late finds a place while fewer accounts than places hold on to theirs, and otherwise waits
// for the next brief run to end. The server's own work (no account) takes none of the shares.
//
// Safe to call from any thread. `lane` outlives it.
class LaneShares final {
 public:
  explicit LaneShares(const Executor& lane) : lane_(lane) {}

  // Whether a job of `account` that was never cut short would get a place now. A hint.
  bool has_room(const AccountId& account) const;

  // A place for a run of such a job. Nothing when the account must wait. Each place that was taken
  // is to be given back.
  std::optional<RunLength> take(const AccountId& account);
  void give_back(const AccountId& account, RunLength length);

  struct Turn {
    store::DueJob job;
    RunLength length = RunLength::full;
  };

  // Takes places for up to `limit` of `due`: in turn the account with the fewest places, among
  // those the one that has waited for longest. Of one account's jobs those come first that were cut
  // short, then the oldest.
  std::vector<Turn> take_turns(std::span<const store::DueJob> due, std::size_t limit);

 private:
  // What is remembered of accounts that hold nothing is only whose turn was when: all of it is
  // forgotten beyond this many.
  static constexpr std::size_t kRemembered = 4096;

  struct Held {
    std::size_t full = 0, brief = 0;
    std::uint64_t last_turn = 0;  // 0: never

    std::size_t all() const { return full + brief; }
  };

  struct State {
    std::map<AccountId, Held> accounts;
    std::size_t full = 0, brief = 0;  // held by all accounts
    std::uint64_t turns = 0;
  };

  std::optional<RunLength> next_place(const State& state, const AccountId& account,
                                      bool needs_full) const;
  static void hold(State& state, const AccountId& account, RunLength length);

  const Executor& lane_;
  Guarded<State> state_;
};

}  // namespace gatehouse::service
