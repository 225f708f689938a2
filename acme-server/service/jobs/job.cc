#include "acme-server/service/jobs/job.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/service/jobs/lane_shares.h"
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

void JobRun::cut_short(store::Tx& tx) {
  ACME_CHECK(length_ == RunLength::brief);
  if (!tx.jobs().cut_short(job_, tx.job_now(), "cut short while others waited")) {
    throw LeaseLost();
  }
  ended_ = true;
  cut_short_ = true;
}

Deadline JobRun::deadline(std::chrono::milliseconds longest) const {
  return Deadline::in(length_ == RunLength::brief ? std::min(longest, kBriefRun) : longest);
}

void JobRun::renew(store::Tx& tx, std::chrono::seconds span) {
  if (!tx.jobs().renew(job_, tx.job_now() + span)) {
    throw LeaseLost();
  }
}

}  // namespace gatehouse::service
