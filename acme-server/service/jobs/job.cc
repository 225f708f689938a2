#include "acme-server/service/jobs/job.h"

#include <chrono>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

void JobRun::finish(store::Tx& tx) {
  if (!tx.jobs().finish(job_, tx.job_now())) {
    throw LeaseLost();
  }
  ended_ = true;
}

void JobRun::postpone(store::Tx& tx, Instant run_at, std::string_view note) {
  if (!tx.jobs().postpone(job_, run_at, note)) {
    throw LeaseLost();
  }
  ended_ = true;
}

void JobRun::park(store::Tx& tx, std::string_view why) {
  if (!tx.jobs().park(job_, why)) {
    throw LeaseLost();
  }
  ended_ = true;
}

void JobRun::renew(store::Tx& tx, std::chrono::seconds span) {
  if (!tx.jobs().renew(job_, tx.job_now() + span)) {
    throw LeaseLost();
  }
}

}  // namespace gatehouse::service
