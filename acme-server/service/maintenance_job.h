// maintenance: once a day, warn of what runs out; keep the gauges of it true.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "acme-server/service/context.h"
#include "acme-server/service/job.h"

namespace gatehouse::service {

// Something with an end that an operator must know of.
struct Expiring {
  std::string what;        // "issuer", "listener certificate", "root CRL", "CRL <url>"
  Instant ends;
};

class MaintenanceJob final : public JobHandler {
 public:
  MaintenanceJob(Context& context, std::function<std::vector<Expiring>()> expiring);

  store::JobKind kind() const override { return store::JobKind::maintenance; }
  void run(JobRun& run) override;
  void enqueue();

 private:
  Context& context_;
  std::function<std::vector<Expiring>()> expiring_;
};

}  // namespace gatehouse::service
