// prune: removes what is old, in small steps.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "acme-server/base/metrics.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/operations/retention_options.h"

namespace gatehouse::service {

// Walks over all orders, authorizations and certificates, in pages, and removes what
// RetentionOptions say, at most kBatch rows of a kind in one transaction, so that no writer waits
// long. Its position is stored, so that a walk continues after a restart. The audit trail is never
// pruned, since its chain is verified from the first event.
class RetentionJob final : public JobHandler {
 public:
  RetentionJob(Context& context, const RetentionOptions& options);

  store::JobKind kind() const override { return store::JobKind::prune; }

  // With a wrong clock everything may look old.
  bool paused() override;
  void run(JobRun& run) override;  // subject: "server"
  void enqueue();

  static constexpr std::chrono::hours kEvery{6};  // between two walks
  static constexpr std::size_t kPage = 500;       // rows looked at in one read
  static constexpr std::size_t kBatch = 100;      // removed in one write
  static constexpr int kPagesOfRun = 20;

 private:
  static constexpr std::size_t kStages = 3;  // certificates, orders, authorizations

  Context& context_;
  RetentionOptions options_;
  std::array<Counter, kStages> pruned_;
};

}  // namespace gatehouse::service
