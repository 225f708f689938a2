// The step before any signature: is the stored intent still what we would sign today? Mark it
// submitted, replace it, or fail the order.
#pragma once

#include <chrono>
#include <optional>

#include "acme-server/core/order.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"

namespace gatehouse::service {

// An intent that is marked submitted, durably. From here on its bytes never change.
struct ClaimedIntent {
  Order order;
  store::Issuance issuance;
  bool first =
      false;  // marked by this very call: submit() it; else it may have been before: resume()
};

// How long the lease of a run must last that submits for an order of `directory`.
std::chrono::seconds issuance_lease(const ServerRules& server, const Directory& directory);

// "certificate.submitted": the mark, in its transaction.
store::AuditEvent submitted_event(const Order& order, const store::Issuance& issuance);

// `run` is a run of issue_certificate; its subject is the order. Names whose CAA records were asked
// for more than kCaaAge ago are asked about again, outside any transaction; while nobody can tell,
// this throws, and at last the order fails; a brief run is cut short. One transaction re-checks
// what the intent rests on and marks it; one that is stale is abandoned there (kept, its serial
// never used), and a new one is prepared outside any transaction and stored by a second one.
// Nothing when the run has ended: the order has an outcome, or got one here (its account, an
// authorization or its key did not stand the check, or no new intent can be had).
std::optional<ClaimedIntent> claim_intent(Context& context, JobRun& run, const Policy& policy);

}  // namespace gatehouse::service
