// maintenance: warns once a day of what expires, and keeps its gauges up to date.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"

namespace gatehouse::service {

// Something that expires and that an operator must renew.
struct Expiring {
  std::string what;  // "issuer", "listener certificate", "root CRL", "CRL <url>"
  Instant ends;
  std::chrono::seconds warn_before = std::chrono::hours(24 * 30);
  std::string kind = "other";  // in metrics: issuer, ca, root, crl, root_crl, listener
  std::string name = {};       // in metrics, among those of its kind; empty: `what`
  std::string next_step = {};  // what the operator does about it; empty: that is obvious
};

// Of each Server: its issuers, the CAs above them and the roots, the CRLs in force, the root's CRL.
// The warning for the issuer in use comes while leaves of full length still fit into its validity.
// There is none for an earlier issuer, since nothing that it signed outlives it.
std::vector<Expiring> expiring_of(Context& context);

// Sets gatehouse_expiry_timestamp_seconds and gatehouse_jobs_parked every kEvery; what expires
// soon, and jobs that wait for the operator, are logged as warnings once a day.
class MaintenanceJob final : public JobHandler {
 public:
  // `expiring` is asked at each run, on the maintenance lane.
  MaintenanceJob(Context& context, std::function<std::vector<Expiring>()> expiring);

  store::JobKind kind() const override { return store::JobKind::maintenance; }

  void run(JobRun& run) override;
  void enqueue();

  static constexpr std::chrono::minutes kEvery{10};
  static constexpr std::chrono::hours kWarnEvery{24};

 private:
  Context& context_;
  std::function<std::vector<Expiring>()> expiring_;
  Gauge jobs_parked_;
};

}  // namespace gatehouse::service
