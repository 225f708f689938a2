// issue_certificate: re-check, mark the intent submitted, ask the backend, check what came back,
// record it.
#pragma once

#include <chrono>

#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"

namespace gatehouse::service {

class IssuanceJob final : public JobHandler {
 public:
  explicit IssuanceJob(Context& context);

  store::JobKind kind() const override { return store::JobKind::issue_certificate; }

  bool takes_turns() const override { return true; }

  bool paused() override;
  void run(JobRun& run) override;  // subject: the order's id

  static constexpr std::chrono::hours kIntentAge{
      1};  // an older intent is not submitted: its dates would be stale
  // A backend that is not repeatable is in doubt when it has thrown this often in a row: with the
  // runner's backoff, for about a quarter of an hour.
  static constexpr int kFailuresBeforeDoubt = 10;

  // What the job counts; made once, shared by its runs.
  struct Counters {
    Counter issued, refused, not_sent, in_doubt, wrong;
  };

 private:
  Context& context_;
  Counters counters_;
};

}  // namespace gatehouse::service
