// OrderDiagnosis: why an order has the status that it has, explained to its operator. Uses only
// what is stored and asks nobody.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/service/stops/stop.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"

namespace gatehouse::service {

// All that is stored about an order, read in one transaction, except the events of its
// authorizations (order_events.h).
struct OrderDiagnosis {
  Order order;
  OrderStatus status = OrderStatus::pending;
  std::vector<Authorization> authorizations;  // exactly the order's, in its order
  std::vector<std::pair<ChallengeId, store::JobState>> validations;  // jobs of its challenges
  std::vector<store::Issuance> issuances;
  std::optional<store::JobState> issuing;  // its issuance job
  std::optional<CertificateRecord> certificate;
  std::vector<store::AuditRow> events;  // its own and its authorizations', oldest first
  std::vector<Stop> stops = {};         // why nothing is signed just now; empty: it is
};

// Why the order has its status at `now`: sentences, the decisive one first.
std::vector<std::string> explain(const OrderDiagnosis& diagnosis, Instant now);

}  // namespace gatehouse::service
