// JobRunner: claims what is due, posts it to its lane, ends it; backoff with jitter for what
// throws.
#pragma once

#include <any>
#include <chrono>
#include <memory>

#include "acme-server/base/executor.h"
#include "acme-server/core/ids.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"

namespace gatehouse::service {

// Owned by one Server. All lanes are added before the first job runs. run_due_once() is called by
// Host's scheduler thread, or by a test.
class JobRunner {
 public:
  explicit JobRunner(Context& context);
  ~JobRunner();
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  // Before the first run. `lane` and `handler` outlive the runner. At most as many jobs as the lane
  // has idle threads are claimed at a time.
  void add(JobHandler& handler, Executor& lane);

  // Claims and posts what is due now. Returns how many jobs it posted. With inline lanes they have
  // ended when it returns.
  std::size_t run_due_once();

  // Whether a job of `kind` for `account` would begin at once: its lane has an idle thread, the
  // account's share of it is not used up, and nothing pauses it. A hint; false for a lane that
  // would run it on the caller's thread. From any thread.
  bool has_room(store::JobKind kind, const AccountId& account) const;

  // Runs `job`, whose lease is in the database already (Jobs::enqueue_leased), on its lane;
  // `loaded` is for JobRun::loaded(). Should there be no place for it after all, the job is given
  // back.
  // From any thread; does not throw.
  void begin(store::Job job, std::any loaded);

  // How long the scheduler may sleep: until the next run_at, at most 1 s.
  std::chrono::milliseconds until_next();

  // Leases last this long; a handler that needs longer renews.
  static constexpr std::chrono::seconds kLease{60};
  // A retry waits 2^attempts seconds, at most this, plus up to a quarter of it.
  static constexpr std::chrono::seconds kLongestBackoff{300};

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::service
