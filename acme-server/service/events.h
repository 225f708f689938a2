// Audit events as use cases and jobs write them: what happened to which object, and who did it.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"

namespace gatehouse::service {

// An event about the account itself, by its client.
store::AuditEvent event_of(std::string_view kind, const Account& account);
store::AuditEvent event_of(std::string_view kind, const Order& order, const Principal& actor);
store::AuditEvent event_of(std::string_view kind, const Authorization& authorization,
                           const Principal& actor);

// "certificate.intent": what is about to be signed, before anything is. `request_sha256` is the
// hash of what the backend fixed; for the local CA, of the TBSCertificate.
store::AuditEvent intent_event(const Order& order, const store::Issuance& issuance,
                               const Principal& actor);

// "order.invalid": a server's decision that the order has failed.
store::AuditEvent order_failed_event(const Order& order, const Problem& problem);

Json json_of(const std::vector<Identifier>& identifiers);

// "a.test, *.b.test": as log lines have them.
std::string names_of(const std::vector<Identifier>& identifiers);

}  // namespace gatehouse::service
