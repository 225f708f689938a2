// Why an order stands where it stands, in words for its operator: made of what is stored, asks
// nobody.
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
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"

namespace gatehouse::service {

// All that there is to say of an order, in one view of the database but for events of the
// authorizations (order_events.h).
struct OrderStory {
  Order order;
  OrderStatus status = OrderStatus::pending;
  std::vector<Authorization> authorizations;  // exactly the order's, in its order
  std::vector<std::pair<ChallengeId, store::JobState>> validations;  // jobs of its challenges
  std::vector<store::Issuance> issuances;
  std::optional<store::JobState> issuing;  // its issuance job
  std::optional<CertificateRecord> certificate;
  std::vector<store::AuditRow> events;  // its own and its authorizations', oldest first
};

// Sentences, the decisive one first.
std::vector<std::string> why_it_stands(const OrderStory& story, Instant now);

}  // namespace gatehouse::service
