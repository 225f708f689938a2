// issue_certificate: re-check, mark the intent submitted, ask the backend, check what came back, record it.
#pragma once

#include "acme-server/service/context.h"
#include "acme-server/service/job.h"

namespace gatehouse::service {

class IssuanceJob final : public JobHandler {
 public:
  explicit IssuanceJob(Context& context) : context_(context) {}

  store::JobKind kind() const override { return store::JobKind::issue_certificate; }
  void run(JobRun& run) override;   // subject: the order's id

  static constexpr std::chrono::hours kIntentAge{1};   // an older intent is not submitted: its dates would be stale

 private:
  Context& context_;
};

}  // namespace gatehouse::service
