// What a job is to its handler, and the runner that claims and ends them.
#pragma once

#include <any>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/lane_shares.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// The worker lost its lease while it worked: its transaction must be rolled back. Only the runner
// catches it.
class LeaseLost : public std::runtime_error {
 public:
  LeaseLost() : std::runtime_error("the job's lease was lost") {}
};

// One run of one job. A handler ends it exactly once, inside the transaction that writes its
// result, so that both are committed or neither. Each end throws LeaseLost when another worker has
// taken the lease.
class JobRun {
 public:
  explicit JobRun(store::Job job, std::any loaded = {}, const Completions* completions = nullptr,
                  RunLength length = RunLength::full)
      : job_(std::move(job)),
        loaded_(std::move(loaded)),
        completions_(completions),
        length_(length) {}

  const store::Job& job() const { return job_; }

  // What EagerJob handed over from the transaction that enqueued the job, when it is a T; otherwise
  // null, and the handler reads what it needs.
  template <class T>
  const T* loaded() const {
    return std::any_cast<T>(&loaded_);
  }

  bool ended() const { return ended_; }

  bool was_cut_short() const { return cut_short_; }

  // For what the run waits for and a client chose, and with it how long it takes: `longest` from
  // now, or sooner when the run is brief.
  Deadline deadline(std::chrono::milliseconds longest) const;

  // Whether what was not done by `deadline` is to be cut short (cut_short()) rather than concluded:
  // the run is brief, and its time is over.
  bool is_over(Deadline deadline) const {
    return length_ == RunLength::brief && deadline.expired();
  }

  // Whether a client's answer waits for the end of this run, now.
  bool is_awaited() const { return completions_ != nullptr && completions_->is_awaited(job_.id); }

  void finish(store::Tx& tx);
  void postpone(store::Tx& tx, Instant run_at, std::string_view note);  // run_at by the job clock
  void park(store::Tx& tx, std::string_view why);
  // Ends a brief run whose time is over: it does not count, and the job waits for a full one.
  void cut_short(store::Tx& tx);
  // For a transaction in the middle of a run: throws LeaseLost, else extends the lease by `span`.
  void renew(store::Tx& tx, std::chrono::seconds span);

 private:
  store::Job job_;
  std::any loaded_;
  const Completions* completions_;
  RunLength length_;
  bool ended_ = false, cut_short_ = false;
};

// Writes what a run came to: at once when a client waits for it, else with the next COMMIT of
// others. Returns what `function(store::Tx&)` returns; durable then.
template <class Function>
auto write_outcome(store::Store& store, const JobRun& run, Function&& function) {
  return run.is_awaited() ? store.write(function) : store.write_soon(function);
}

// A kind of job. run() may block, on its own lane; it throws to be retried with backoff.
class JobHandler {
 public:
  virtual ~JobHandler() = default;
  virtual store::JobKind kind() const = 0;

  // Whether clients enqueue its jobs and choose what they wait for: then accounts take turns at the
  // lane (LaneShares). Otherwise those due longest come first.
  virtual bool takes_turns() const { return false; }

  // Whether none of its jobs may begin now. They stay due meanwhile. Asked often and from any
  // thread: it answers from memory.
  virtual bool paused() { return false; }

  virtual void run(JobRun& run) = 0;
};

}  // namespace gatehouse::service
