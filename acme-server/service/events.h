// Audit events as the use cases and jobs write them: who did it, to what.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"

namespace gatehouse::service {

enum class Actor { account, server };

// An event about the account itself.
store::AuditEvent event_of(std::string_view kind, const Account& account);
// About an order; Actor::account needs an order that has one.
store::AuditEvent event_of(std::string_view kind, const Order& order, Actor actor);
store::AuditEvent event_of(std::string_view kind, const Authorization& authorization, Actor actor);

// "certificate.intent": what is about to be signed, before anything is. `request_sha256` is the
// hash of what the backend fixed; for the local CA, of the TBSCertificate.
store::AuditEvent intent_event(const Order& order, const store::Issuance& issuance, Actor actor);

// "order.invalid": a server's decision that the order has failed.
store::AuditEvent order_failed_event(const Order& order, const Problem& problem);

Json json_of(const std::vector<Identifier>& identifiers);

}  // namespace gatehouse::service
