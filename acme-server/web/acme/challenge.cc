// Challenges (RFC 8555 section 7.5.1).
#include <utility>

#include "acme-server/base/json.h"
#include "acme-server/core/ids.h"
#include "acme-server/http/http.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/orders/challenges.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/acme/resource_json.h"
#include "acme-server/web/answer.h"
#include "acme-server/web/api.h"
#include "acme-server/web/payload.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

http::Response challenge_response(const Api& api, const DirectoryId& directory,
                                  const service::ChallengeView& view) {
  http::Response response =
      json_response(200, challenge_json(view.challenge, directory, api.links));
  add_link(response, api.links.authorization(directory, view.authorization), "up");
  if (view.retry_after) {
    add_retry_after(response, *view.retry_after);
  }
  return response;
}

}  // namespace

http::Response show_challenge(Api& api, const PostAsGet& proof) {
  const auto view = api.challenges.get(proof.account(), ChallengeId(proof.parameter("challenge")));
  if (!view) {
    reject_unknown("challenge");
  }
  return challenge_response(api, proof.directory().name, *view);
}

Answer respond_to_challenge(Api& api, const SignedByAccount& proof) {
  // An object, and nothing in it matters: "servers MUST ignore any fields in the response object
  // that are not specified as response fields for this type of challenge", and no type of ours has
  // any.
  read_payload(proof.payload(), [](const JsonObject&) { return true; });
  const ChallengeId id(proof.parameter("challenge"));
  service::Ticket ticket;
  const auto view = api.challenges.respond(proof.account(), id, &ticket);
  if (!view) {
    reject_unknown("challenge");
  }
  http::Response now = challenge_response(api, proof.directory().name, *view);
  if (!ticket) {
    return now;
  }
  // RFC 8555 section 7.5.1: "The server provides a 200 (OK) response with the updated challenge
  // object as its body." It does not say when; a client that is told the outcome need not poll.
  const auto anew = [&api, account = proof.account(), directory = proof.directory().name, id] {
    return challenge_response(api, directory, api.challenges.get(account, id).value());
  };
  return {std::move(now), std::move(ticket), anew};
}

}  // namespace gatehouse::web
