// validate_challenge: load, ask the Validator with no transaction open, conclude; or postpone the
// next try of RFC 8555 section 8.2.
#pragma once

#include "acme-server/service/context.h"
#include "acme-server/service/job.h"

namespace gatehouse::service {

class ValidationJob final : public JobHandler {
 public:
  explicit ValidationJob(Context& context) : context_(context) {}

  store::JobKind kind() const override { return store::JobKind::validate_challenge; }

  // What it writes has dates in it.
  bool paused() override;
  void run(JobRun& run) override;  // subject: the challenge's id

 private:
  Context& context_;
};

}  // namespace gatehouse::service
