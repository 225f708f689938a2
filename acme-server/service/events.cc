#include "acme-server/service/events.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"

namespace gatehouse::service {
store::AuditEvent event_of(std::string_view kind, const Account& account) {
  store::AuditEvent event;
  event.kind = kind;
  event.actor = account.id;
  event.directory = account.directory;
  event.account = account.id;
  return event;
}

store::AuditEvent event_of(std::string_view kind, const Order& order, const Principal& actor) {
  store::AuditEvent event;
  event.kind = kind;
  event.actor = actor;
  event.directory = order.directory;
  event.account = order.account;
  event.order = order.id;
  return event;
}

store::AuditEvent event_of(std::string_view kind, const Authorization& authorization,
                           const Principal& actor) {
  store::AuditEvent event;
  event.kind = kind;
  event.actor = actor;
  event.directory = authorization.directory;
  event.account = authorization.account;
  event.authorization = authorization.id;
  event.details["identifier"] = authorization.identifier.base().value;
  event.details["wildcard"] = authorization.identifier.is_wildcard();
  return event;
}

store::AuditEvent intent_event(const Order& order, const store::Issuance& issuance,
                               const Principal& actor) {
  store::AuditEvent event = event_of("certificate.intent", order, actor);
  const std::optional<Bytes> octets = base64url_decode(issuance.request);
  event.details["issuance"] = issuance.id.str();
  event.details["backend"] = issuance.backend;
  event.details["issuer"] = issuance.issuer.str();
  event.details["serial"] = issuance.serial;
  event.details["profile"] = issuance.profile;
  event.details["profile_hash"] = issuance.profile_hash;
  event.details["spki_sha256"] = issuance.spki_sha256;
  event.details["request_sha256"] =
      crypto::sha256_hex(octets ? ByteView(*octets) : as_bytes(issuance.request));
  if (issuance.not_before != Instant()) {
    event.details["not_before"] = to_rfc3339(issuance.not_before);
  }
  if (issuance.not_after != Instant()) {
    event.details["not_after"] = to_rfc3339(issuance.not_after);
  }
  event.details["identifiers"] = json_of(order.identifiers);
  return event;
}

store::AuditEvent order_failed_event(const Order& order, const Problem& problem) {
  store::AuditEvent event = event_of("order.invalid", order, ServerPrincipal{});
  event.details["problem"] = to_json(problem);
  return event;
}

Json json_of(const std::vector<Identifier>& identifiers) {
  Json list = Json::array();
  for (const Identifier& identifier : identifiers) {
    list.push_back(std::string(to_string(identifier.type)) + ":" + identifier.value);
  }
  return list;
}

std::string names_of(const std::vector<Identifier>& identifiers) {
  std::vector<std::string> names;
  names.reserve(identifiers.size());
  for (const Identifier& identifier : identifiers) names.push_back(identifier.value);
  return join(names, ", ");
}

}  // namespace gatehouse::service
