#include "acme-server/service/jobs/eager_job.h"

#include <algorithm>
#include <any>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "acme-server/base/entropy.h"
#include "acme-server/core/ids.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

EagerJob::EagerJob(Context& context, store::JobKind kind, std::string subject, AccountId account,
                   std::chrono::seconds lease)
    : context_(context),
      kind_(kind),
      subject_(std::move(subject)),
      id_(random_row_id(context.entropy, context.clock.now())),
      account_(std::move(account)),
      lease_(std::max(lease, JobRunner::kLease)),
      at_once_(context.runner != nullptr && context.runner->has_room(kind, account_)) {
  if (at_once_) {
    lease_token_ = random_token(context.entropy);
  }
}

Ticket EagerJob::take_ticket(std::chrono::milliseconds longest) const {
  if (!at_once_ || context_.completions == nullptr) return {};
  return context_.completions->take(id_, account_, longest);
}

bool EagerJob::enqueue(store::Tx& tx, std::any loaded) const {
  if (at_once_) {
    if (auto job = tx.jobs().enqueue_leased(id_, kind_, subject_, tx.job_now(),
                                            tx.job_now() + lease_, lease_token_, account_)) {
      tx.after_commit(
          [runner = context_.runner, job = std::move(*job), loaded = std::move(loaded)]() mutable {
            runner->begin(std::move(job), std::move(loaded));
          });
      return true;
    }
  } else {
    tx.jobs().enqueue(id_, kind_, subject_, tx.job_now(), account_);
  }
  tx.after_commit(context_.wake);
  return false;
}

}  // namespace gatehouse::service
