// The step before any signature: is the stored intent still what we would sign today? Mark it
// submitted, replace it, or fail the order.
#pragma once

#include <chrono>
#include <optional>
#include <span>

#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// An intent that is marked submitted, durably. From here on its bytes never change.
struct ClaimedIntent {
  Order order;
  store::Issuance issuance;
  bool first =
      false;  // marked by this very call: submit() it; else it may have been before: resume()
};

// How long the lease of a run that submits must last.
std::chrono::seconds issuance_lease(const Policy& policy);

// For the transaction that stores an intent which was prepared just now, for an order that it has
// found to be ready: whether the intent may be marked submitted there and then, since the run that
// signs it begins with the COMMIT. Only where what is signed is fixed (a repeatable backend);
// issuance must not be stopped, and no name's CAA records need be asked for again. `now` is the
// clock's, read before the transaction.
bool may_mark_at_once(store::Tx& tx, Context& context, const backends::Backend& backend,
                      std::span<const Authorization> authorizations, const Profile& profile,
                      Instant now);

// "certificate.submitted": the mark, in its transaction.
store::AuditEvent submitted_event(const Order& order, const store::Issuance& issuance);

// `run` is a run of issue_certificate; its subject is the order. Names whose CAA records were asked
// for more than kCaaAge ago are asked about again, outside any transaction; while nobody can tell,
// this throws, and at last the order fails. One transaction re-checks what the intent rests on and
// marks it; one that is stale is abandoned there (kept, its serial never used), and a new one is
// prepared outside any transaction and stored by a second one. Nothing when the run has ended: the
// order has an outcome, or got one here (its account, an authorization or its key did not stand the
// check, or no new intent can be had).
std::optional<ClaimedIntent> claim_intent(Context& context, JobRun& run, const Policy& policy);

}  // namespace gatehouse::service
