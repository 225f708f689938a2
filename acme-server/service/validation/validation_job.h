// validate_challenge: load, ask the Validator with no transaction open, conclude; or postpone the
// next try of RFC 8555 section 8.2.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "acme-server/base/metrics.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::service {

// A challenge that waits for a try, as it was when the try began: what a run may be begun with
// (JobRun::loaded).
struct ValidationTask {
  Authorization authorization;
  Challenge challenge;
  Account account;
};

// How long the lease of a run for `directory` must last: one try, and writing its result.
std::chrono::seconds validation_lease(const Directory& directory);

class ValidationJob final : public JobHandler {
 public:
  explicit ValidationJob(Context& context);

  store::JobKind kind() const override { return store::JobKind::validate_challenge; }

  bool takes_turns() const override { return true; }

  // What it writes has dates in it.
  bool paused() override;
  void run(JobRun& run) override;  // subject: the challenge's id

 private:
  struct Tally {
    Counter valid, invalid, retried;
  };

  void count(const Challenge& challenge) const;

  Context& context_;
  std::map<std::string, Tally, std::less<>> tallies_;  // by challenge type
};

}  // namespace gatehouse::service
