// What a job is to its handler, and the runner that claims and ends them.
#pragma once

#include <any>
#include <string_view>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/service/jobs/completions.h"
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
  explicit JobRun(store::Job job, std::any loaded = {}, const Completions* completions = nullptr)
      : job_(std::move(job)), loaded_(std::move(loaded)), completions_(completions) {}

  const store::Job& job() const { return job_; }

  // What EagerJob handed over from the transaction that enqueued the job, when it is a T; otherwise
  // null, and the handler reads what it needs.
  template <class T>
  const T* loaded() const {
    return std::any_cast<T>(&loaded_);
  }

  bool ended() const { return ended_; }

  // Whether a client's answer waits for the end of this run, now.
  bool is_awaited() const { return completions_ != nullptr && completions_->is_awaited(job_.id); }

  void finish(store::Tx& tx);
  void postpone(store::Tx& tx, Instant run_at, std::string_view note);  // run_at by the job clock
  void park(store::Tx& tx, std::string_view why);
  // For a transaction in the middle of a run: throws LeaseLost, else extends the lease by `span`.
  void renew(store::Tx& tx, std::chrono::seconds span);

 private:
  store::Job job_;
  std::any loaded_;
  const Completions* completions_;
  bool ended_ = false;
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

  // Whether none of its jobs may begin now. They stay due meanwhile. Asked often and from any
  // thread: it answers from memory.
  virtual bool paused() { return false; }

  virtual void run(JobRun& run) = 0;
};

}  // namespace gatehouse::service
