#include "acme-server/web/acme/resource_json.h"

#include <cstddef>
#include <string>
#include <utility>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/web/links.h"

namespace gatehouse::web {
namespace {

// An empty object with room for what a resource has: one that grows copies all that it holds, and
// one made of a list in braces first makes an array of each pair.
Json new_object() {
  constexpr std::size_t kMostMembers = 10;
  Json::object_t members;
  members.reserve(kMostMembers);
  return Json(std::move(members));  // NOLINT(modernize-return-braced-init-list): a list of one
}

Json identifier_json(const Identifier& identifier) {
  Json json = new_object();
  json["type"] = to_string(identifier.type);
  json["value"] = identifier.value;
  return json;
}

// RFC 8555 section 7.1.4: "For pending authorizations, the challenges that the client can fulfill
// […] For valid authorizations, the challenge that was validated. For invalid authorizations, the
// challenge that was attempted and failed."
bool is_shown(const Challenge& challenge, AuthorizationStatus status) {
  switch (status) {
    case AuthorizationStatus::valid:
      return challenge.status == ChallengeStatus::valid;
    case AuthorizationStatus::invalid:
      return challenge.status == ChallengeStatus::invalid;
    case AuthorizationStatus::pending:
    case AuthorizationStatus::deactivated:
    case AuthorizationStatus::expired:
    case AuthorizationStatus::revoked:
      return true;
  }
  return true;
}

}  // namespace

Json account_json(const Account& account, const Links& links) {
  Json json = {{"status", to_string(account.status)}};
  if (!account.contacts.empty()) {
    json["contact"] = account.contacts;
  }
  if (!account.terms_agreed.empty()) {
    json["termsOfServiceAgreed"] = true;
  }
  json["orders"] = links.orders(account.directory, account.id);
  return json;
}

Json order_json(const service::OrderView& view, const Links& links) {
  const Order& order = view.order;
  Json json = new_object();
  json["status"] = to_string(view.status);
  json["expires"] = to_rfc3339(order.expires);
  Json& identifiers = json["identifiers"] = Json::array();
  for (const Identifier& identifier : order.identifiers) {
    identifiers.push_back(identifier_json(identifier));
  }
  if (order.not_before) {
    json["notBefore"] = to_rfc3339(*order.not_before);
  }
  if (order.not_after) {
    json["notAfter"] = to_rfc3339(*order.not_after);
  }
  json["profile"] = order.profile;
  Json& authorizations = json["authorizations"] = Json::array();
  for (const AuthorizationId& id : order.authorizations) {
    authorizations.push_back(links.authorization(order.directory, id));
  }
  json["finalize"] = links.finalize(order.directory, order.id);
  if (view.status == OrderStatus::valid && order.certificate) {
    json["certificate"] = links.certificate(order.directory, *order.certificate);
  }
  if (view.status == OrderStatus::invalid && order.error) {
    json["error"] = to_json(*order.error);
  }
  return json;
}

Json authorization_json(const Authorization& authorization, const Links& links) {
  Json json = new_object();
  json["status"] = to_string(authorization.status);
  json["expires"] = to_rfc3339(authorization.expires);
  json["identifier"] = identifier_json(authorization.identifier.base());
  Json& challenges = json["challenges"] = Json::array();
  for (const Challenge& challenge : authorization.challenges) {
    if (is_shown(challenge, authorization.status)) {
      challenges.push_back(challenge_json(challenge, authorization.directory, links));
    }
  }
  // "MUST be present and true for authorizations created as a result of a newOrder request
  // containing a DNS identifier with a value that was a wildcard domain name. For other
  // authorizations, it MUST be absent."
  if (authorization.identifier.is_wildcard()) {
    json["wildcard"] = true;
  }
  return json;
}

Json challenge_json(const Challenge& challenge, const DirectoryId& directory, const Links& links) {
  Json json = new_object();
  json["type"] = challenge.type;
  json["url"] = links.challenge(directory, challenge.id);
  json["status"] = to_string(challenge.status);
  json["token"] = challenge.token;
  if (challenge.status == ChallengeStatus::valid && challenge.validated) {
    json["validated"] = to_rfc3339(*challenge.validated);
  }
  // Section 8: "A challenge object with an error MUST have status equal to "invalid"." While tries
  // go on, Retry-After alone says so (docs/choices.md, section 8.2).
  if (challenge.status == ChallengeStatus::invalid && challenge.error) {
    json["error"] = to_json(*challenge.error);
  }
  return json;
}

}  // namespace gatehouse::web
