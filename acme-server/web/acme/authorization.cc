// Authorizations (RFC 8555 sections 7.5 and 7.5.2).
#include "acme-server/core/authorization.h"

#include <chrono>
#include <optional>

#include "acme-server/base/json.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/orders/challenges.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/acme/resource_json.h"
#include "acme-server/web/api.h"
#include "acme-server/web/payload.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

http::Response authorization_response(const Api& api, const Authorization& authorization) {
  http::Response response = json_response(200, authorization_json(authorization, api.links));
  if (authorization.status != AuthorizationStatus::pending) {
    return response;
  }
  std::optional<std::chrono::seconds> soonest;
  for (const Challenge& challenge : authorization.challenges) {
    const auto wait = service::retry_after_of(challenge, api.context.job_clock.now());
    if (wait && (!soonest || *wait < *soonest)) {
      soonest = wait;
    }
  }
  if (soonest) {
    add_retry_after(response, *soonest);
  }
  return response;
}

}  // namespace

http::Response show_authorization(Api& api, const PostAsGet& proof) {
  const auto authorization =
      api.authorizations.get(proof.account(), AuthorizationId(proof.parameter("authorization")));
  if (!authorization) {
    reject_unknown("authorization");
  }
  return authorization_response(api, *authorization);
}

Answer deactivate_authorization(Api& api, const SignedByAccount& proof) {
  const bool wanted = read_payload(proof.payload(), [](const JsonObject& object) {
    const Json* const status = object.find("status");
    return status != nullptr && *status == "deactivated";
  });
  if (!wanted) {
    reject(
        ProblemType::malformed,
        "The one change an authorization takes is {\"status\":\"deactivated\"}; to read it, send "
        "the empty string as payload.");
  }
  const auto authorization = api.authorizations.deactivate(
      proof.account(), AuthorizationId(proof.parameter("authorization")));
  if (!authorization) {
    reject_unknown("authorization");
  }
  return authorization_response(api, *authorization);
}

}  // namespace gatehouse::web
