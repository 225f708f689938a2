// What a job is to its handler, and the runner that claims and ends them.
#pragma once

#include <any>
#include <string_view>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// The worker's lease was taken over while it worked: its transaction must not happen. Known to the
// runner alone.
class LeaseLost : public std::runtime_error {
 public:
  LeaseLost() : std::runtime_error("the job's lease was lost") {}
};

// One run of one job. A handler ends it exactly once, inside the transaction that writes its
// result: then result and end are one. Each end throws LeaseLost when the lease is not ours any
// more.
class JobRun {
 public:
  explicit JobRun(store::Job job, std::any loaded = {})
      : job_(std::move(job)), loaded_(std::move(loaded)) {}

  const store::Job& job() const { return job_; }

  // What the transaction that began the job had in hand already, when it is a T; else the handler
  // reads what it needs. See EagerJob.
  template <class T>
  const T* loaded() const {
    return std::any_cast<T>(&loaded_);
  }

  bool ended() const { return ended_; }

  void finish(store::Tx& tx);
  void postpone(store::Tx& tx, Instant run_at, std::string_view note);  // run_at by the job clock
  void park(store::Tx& tx, std::string_view why);
  // For a transaction in the middle of a run: throws LeaseLost, else extends the lease by `span`.
  void renew(store::Tx& tx, std::chrono::seconds span);

 private:
  store::Job job_;
  std::any loaded_;
  bool ended_ = false;
};

// A kind of job. run() may block, on its own lane; it throws to be retried with backoff.
class JobHandler {
 public:
  virtual ~JobHandler() = default;
  virtual store::JobKind kind() const = 0;

  // Whether none of its jobs may begin now. They stay due, and begin when that has ended.
  virtual bool paused() { return false; }

  virtual void run(JobRun& run) = 0;
};

}  // namespace gatehouse::service
