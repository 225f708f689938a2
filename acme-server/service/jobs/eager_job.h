// EagerJob: a job that begins right after the COMMIT that wrote it (ADR 0018).
#pragma once

#include <any>
#include <chrono>
#include <string>

#include "acme-server/core/ids.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// Constructed before the transaction that enqueues the job. When the job's lane has room, the row
// is written with its lease and the job is posted to the lane after the COMMIT: the scheduler need
// not claim it, which saves a transaction. Otherwise the row is due at once and the scheduler is
// woken. Either way the row is stored, so after a crash, or when the lane has filled up meanwhile,
// the scheduler runs the job.
class EagerJob {
 public:
  // A job that works for `account`. The lease lasts JobRunner::kLease, or `lease` when that is
  // longer.
  EagerJob(Context& context, store::JobKind kind, std::string subject, AccountId account,
           std::chrono::seconds lease);

  // Whether the job will begin after the COMMIT: its lane has room for its account, and nothing
  // holds its kind up.
  bool at_once() const { return at_once_; }

  // Before the transaction: a ticket for the run that begins after its COMMIT. Empty when the run
  // would not begin at once, or Completions::take() has none.
  Ticket take_ticket(std::chrono::milliseconds longest) const;

  // In the transaction, once each time that it runs. `loaded` is handed to the run that begins
  // after the COMMIT: what it would read first. True when there will be one; false when the job
  // waits for the scheduler, and a ticket would wait for nothing.
  bool enqueue(store::Tx& tx, std::any loaded) const;

 private:
  Context& context_;
  store::JobKind kind_;
  std::string subject_, id_, lease_token_;
  AccountId account_;
  std::chrono::seconds lease_;
  bool at_once_;
};

}  // namespace gatehouse::service
