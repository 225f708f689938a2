// publish_crl: rows in order -> CRL, at a revocation and on a schedule.
#pragma once

#include "acme-server/service/certificates.h"
#include "acme-server/service/context.h"
#include "acme-server/service/job.h"

namespace gatehouse::service {

class CrlJob final : public JobHandler {
 public:
  CrlJob(Context& context, PublicFiles& files) : context_(context), files_(files) {}

  store::JobKind kind() const override { return store::JobKind::publish_crl; }
  // subject: "<issuer id> <url>". Postpones itself to the next scheduled time.
  void run(JobRun& run) override;

  // Makes sure that every shard of every backend has its job: at start.
  void enqueue_all();

  // Throws when a shard's CRL cannot be made: for the first start, before listeners open.
  static std::string subject_of(const backends::CrlSigner::Shard& shard);

 private:
  Context& context_;
  PublicFiles& files_;
};

}  // namespace gatehouse::service
