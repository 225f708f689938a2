#include "acme-server/service/jobs/job_runner.h"

#include <algorithm>
#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/technical_detail.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/jobs/lane_shares.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

// The scheduler never sleeps longer: another process may have written a job, or a clock may have
// jumped.
constexpr std::chrono::milliseconds kLongestSleep{1000};

}  // namespace

struct JobRunner::Impl {
  struct Lane {
    JobHandler& handler;
    Executor& executor;
    Counter done, cut_short, retried, lost, broken;
    LaneShares shares{executor};           // of a handler whose accounts take turns
    AccountId last_turn = {};              // where the next look begins; the scheduler's alone
    std::atomic<bool> is_awaited = false;  // jobs may be due that it had no room for
  };

  // A job and the place that it has on its lane.
  struct Placed {
    store::Job job;
    RunLength length = RunLength::full;
  };

  // Gives the place back when the run is over.
  class Place final {
   public:
    Place(Lane& lane, AccountId account, RunLength length)
        : lane_(lane), account_(std::move(account)), length_(length) {}

    ~Place() {
      if (lane_.handler.takes_turns()) lane_.shares.give_back(account_, length_);
    }

    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    Lane& lane_;
    AccountId account_;
    RunLength length_;
  };

  explicit Impl(Context& given) : context(given) {}

  std::vector<Placed> claim_oldest(const Lane& lane, std::size_t limit);
  std::vector<Placed> claim_in_turn(Lane& lane, std::size_t limit);
  std::size_t claim_and_post(Lane& lane);
  bool post(Lane& lane, const Placed& placed, std::any loaded);
  void release(const store::Job& job);
  void execute(Lane& lane, const Placed& placed, std::any loaded);
  void run(Lane& lane, const Placed& placed, std::any loaded);
  void complete(const store::Job& job);
  Lane& lane_of(store::JobKind kind);
  void retry(const store::Job& job, const std::string& why);
  Counter counter(store::JobKind kind, const char* result) const;

  // Runs that could not be put off, since nothing could be written. Tried again at each look, so
  // that they need not wait for their leases.
  struct Owed {
    store::Job job;
    std::string why;
  };

  void pay_owed();

  Context& context;
  std::deque<Lane> lanes;  // never moved: tasks keep references
  Guarded<std::vector<Owed>> owed;
  std::size_t last_posted = 0;  // by the newest run_due_once(); the scheduler's alone
};

Counter JobRunner::Impl::counter(store::JobKind kind, const char* result) const {
  return context.metrics.counter("gatehouse_job_runs_total", "Runs of jobs by how they ended.",
                                 {{"kind", std::string(to_string(kind))}, {"result", result}});
}

std::vector<JobRunner::Impl::Placed> JobRunner::Impl::claim_oldest(const Lane& lane,
                                                                   std::size_t limit) {
  const std::string lease = random_token(context.entropy);
  const std::vector<store::Job> jobs = context.store.write([&](store::Tx& tx) {
    return tx.jobs().claim_due(lane.handler.kind(), tx.job_now(), limit, tx.job_now() + kLease,
                               lease);
  });
  std::vector<Placed> placed;
  for (const store::Job& job : jobs) placed.push_back({.job = job});
  return placed;
}

// Places are taken before the jobs are: the closure of a write may run more than once.
std::vector<JobRunner::Impl::Placed> JobRunner::Impl::claim_in_turn(Lane& lane, std::size_t limit) {
  const std::vector<store::DueJob> due = context.store.read([&](store::Tx& tx) {
    return tx.jobs().due(lane.handler.kind(), tx.job_now(), {.after = lane.last_turn});
  });
  if (due.empty()) return {};
  lane.is_awaited = true;  // before the turns are taken: a run that ends behind them wakes us
  const std::vector<LaneShares::Turn> turns = lane.shares.take_turns(due, limit);
  if (turns.empty()) return {};
  lane.last_turn = turns.back().job.account;
  const std::string lease = random_token(context.entropy);
  std::vector<std::optional<store::Job>> jobs;
  const auto give_back = [&](const LaneShares::Turn& turn) {
    lane.shares.give_back(turn.job.account, turn.length);
  };
  try {
    context.store.write([&](store::Tx& tx) {
      jobs.clear();
      for (const LaneShares::Turn& turn : turns) {
        jobs.push_back(tx.jobs().claim(turn.job.id, tx.job_now(), tx.job_now() + kLease, lease));
      }
    });
  } catch (...) {
    std::ranges::for_each(turns, give_back);
    throw;
  }
  std::vector<Placed> placed;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (jobs[i]) {
      placed.push_back({.job = *std::move(jobs[i]), .length = turns[i].length});
    } else {
      give_back(turns[i]);  // somebody else has it
    }
  }
  return placed;
}

// False when the lane does not take it: the place is given back, the job is still claimed.
bool JobRunner::Impl::post(Lane& lane, const Placed& placed, std::any loaded) {
  if (lane.executor.try_post(
          [this, &lane, placed, loaded = std::move(loaded)] { execute(lane, placed, loaded); })) {
    return true;
  }
  if (lane.handler.takes_turns()) lane.shares.give_back(placed.job.account, placed.length);
  return false;
}

std::size_t JobRunner::Impl::claim_and_post(Lane& lane) {
  const std::size_t idle = lane.executor.idle();
  if (lane.handler.paused()) {
    return 0;
  }
  if (idle == 0) {
    lane.is_awaited = true;
    return 0;
  }
  std::size_t posted = 0;
  const std::vector<Placed> jobs =
      lane.handler.takes_turns() ? claim_in_turn(lane, idle) : claim_oldest(lane, idle);
  if (jobs.size() == idle) {
    lane.is_awaited = true;
  }
  for (const Placed& placed : jobs) {
    crash_point("job.claimed");
    if (post(lane, placed, {})) {
      ++posted;
    } else {
      release(placed.job);  // the lane is shared with other servers, and one of them was faster
    }
  }
  return posted;
}

JobRunner::Impl::Lane& JobRunner::Impl::lane_of(store::JobKind kind) {
  const auto lane =
      std::ranges::find_if(lanes, [&](const Lane& each) { return each.handler.kind() == kind; });
  ACME_CHECK(lane != lanes.end());
  return *lane;
}

// Gives a claimed job back. Should that fail, its lease runs out.
void JobRunner::Impl::release(const store::Job& job) {
  context.store.write([&](store::Tx& tx) { tx.jobs().postpone(job, tx.job_now(), job.note); });
}

// One run and what follows from its end, on the lane's thread. Nothing leaves it: tasks do not
// throw.
void JobRunner::Impl::execute(Lane& lane, const Placed& placed, std::any loaded) {
  {
    const Place place(lane, placed.job.account, placed.length);
    run(lane, placed, std::move(loaded));
  }
  complete(placed.job);
  if (lane.is_awaited.exchange(false)) {
    context.wake();  // the lane has room again
  }
}

// Tells the answer that waits for `job`, whatever became of the run: the client is shown how things
// stand now.
void JobRunner::Impl::complete(const store::Job& job) {
  if (context.completions != nullptr) context.completions->complete(job.id);
}

void JobRunner::Impl::run(Lane& lane, const Placed& placed, std::any loaded) {
  const store::Job& job = placed.job;
  const std::string kind(to_string(job.kind));
  try {
    JobRun run(job, std::move(loaded), context.completions, placed.length);
    lane.handler.run(run);
    ACME_CHECK(run.ended());
    crash_point("job.ended");
    (run.was_cut_short() ? lane.cut_short : lane.done).add();
  } catch (const LeaseLost& lost) {
    // Another worker has the job by now; what this one did has not happened.
    lane.lost.add();
    context.log.warning("job.lease_lost", {{"kind", kind}, {"subject", job.subject}});
  } catch (const LogicError& bug) {
    lane.broken.add();
    context.log.error("job.bug", {{"kind", kind}, {"subject", job.subject}, {"error", bug.what()}});
    retry(job, bug.what());
  } catch (const std::exception& failure) {
    lane.retried.add();
    context.log.warning("job.failed", {{"kind", kind},
                                       {"subject", job.subject},
                                       {"attempts", job.attempts + 1},
                                       {"error", failure.what()},
                                       {"at", technical_detail_of(failure)}});
    retry(job, failure.what());
  }
}

// Puts the job off by backoff and jitter. A run may have failed after its end was committed: then
// the lease is not ours any more and there is nothing to put off.
void JobRunner::Impl::retry(const store::Job& job, const std::string& why) {
  constexpr std::int64_t kDoublings = 9;  // 2^9 s is past the longest wait
  const std::int64_t failures = std::min(job.attempts + 1, kDoublings);
  const std::chrono::seconds wait =
      std::min(std::chrono::seconds(std::int64_t{1} << failures), kLongestBackoff);
  try {
    const std::chrono::seconds jitter(
        random_below(context.entropy, static_cast<std::uint64_t>(wait.count()) / 4 + 1));
    context.store.write(
        [&](store::Tx& tx) { tx.jobs().retry(job, tx.job_now() + wait + jitter, why); });
  } catch (const std::exception& failure) {
    context.log.error("job.retry_failed", {{"kind", to_string(job.kind)},
                                           {"subject", job.subject},
                                           {"error", failure.what()},
                                           {"next",
                                            "it is tried again; at the latest when its "
                                            "lease has run out"}});
    owed.with([&](std::vector<Owed>& all) { all.push_back({.job = job, .why = why}); });
  }
}

void JobRunner::Impl::pay_owed() {
  const std::vector<Owed> due =
      owed.with([](std::vector<Owed>& all) { return std::exchange(all, {}); });
  if (due.empty()) {
    return;
  }
  try {
    // A job that somebody else has by now stays as it is: retry() says so, and that is all right.
    context.store.write([&](store::Tx& tx) {
      for (const Owed& each : due) {
        tx.jobs().retry(each.job, tx.job_now(), each.why);
      }
    });
  } catch (...) {
    owed.with([&](std::vector<Owed>& all) { all.insert(all.end(), due.begin(), due.end()); });
    throw;
  }
}

JobRunner::JobRunner(Context& context) : impl_(std::make_unique<Impl>(context)) {}

JobRunner::~JobRunner() = default;

void JobRunner::add(JobHandler& handler, Executor& lane) {
  const store::JobKind kind = handler.kind();
  impl_->lanes.emplace_back(handler, lane, impl_->counter(kind, "done"),
                            impl_->counter(kind, "cut_short"), impl_->counter(kind, "failed"),
                            impl_->counter(kind, "lease_lost"), impl_->counter(kind, "bug"));
}

bool JobRunner::has_room(store::JobKind kind, const AccountId& account) const {
  const Impl::Lane& lane = impl_->lane_of(kind);
  return !lane.executor.runs_at_once() && lane.executor.idle() > 0 && !lane.handler.paused() &&
         (!lane.handler.takes_turns() || lane.shares.has_room(account));
}

void JobRunner::begin(store::Job job, std::any loaded) {
  Impl::Lane& lane = impl_->lane_of(job.kind);
  crash_point("job.begun");
  // What is left here is for giving the job back.
  const std::optional<RunLength> length =
      lane.handler.takes_turns() ? lane.shares.take(job.account) : RunLength::full;
  if (length && impl_->post(lane, {.job = job, .length = *length}, std::move(loaded))) {
    return;
  }
  try {
    impl_->release(job);
    lane.is_awaited = true;
    impl_->context.wake();
  } catch (const std::exception& failure) {
    impl_->context.log.warning("job.release_failed",
                               {{"kind", to_string(job.kind)},
                                {"subject", job.subject},
                                {"error", failure.what()},
                                {"next", "it runs when its lease has ended"}});
  }
  impl_->complete(job);  // there will be no run soon: nothing to wait for
}

std::size_t JobRunner::run_due_once() {
  std::size_t posted = 0;
  try {
    impl_->pay_owed();
    const auto [next, now] = impl_->context.store.read(
        [](store::Tx& tx) { return std::pair(tx.jobs().next_run_at(), tx.job_now()); });
    if (next && *next <= now) {
      for (Impl::Lane& lane : impl_->lanes) {
        posted += impl_->claim_and_post(lane);
      }
    }
  } catch (const std::exception& failure) {
    // The scheduler goes on: a database that is away comes back.
    impl_->context.log.error("jobs.claim_failed", {{"error", failure.what()}});
  }
  impl_->last_posted = posted;
  return posted;
}

std::chrono::milliseconds JobRunner::until_next() {
  try {
    const auto [next, now] = impl_->context.store.read(
        [](store::Tx& tx) { return std::pair(tx.jobs().next_run_at(), tx.job_now()); });
    if (!next) {
      return kLongestSleep;
    }
    if (*next <= now) {
      // What is due and was not posted waits for its lane, which wakes the scheduler when a run
      // ends.
      return impl_->last_posted == 0 ? kLongestSleep : std::chrono::milliseconds(0);
    }
    return std::min(std::chrono::milliseconds(*next - now), kLongestSleep);
  } catch (const std::exception& failure) {
    impl_->context.log.error("jobs.look_failed", {{"error", failure.what()}});
    return kLongestSleep;
  }
}

}  // namespace gatehouse::service
