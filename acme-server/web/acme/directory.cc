// The directory and newNonce (RFC 8555 sections 7.1.1 and 7.2).
#include "acme-server/base/json.h"
#include "acme-server/core/ids.h"
#include "acme-server/http/http.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/api.h"
#include "acme-server/web/responses.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {
namespace {

Json meta_of(const Api& api) {
  const auto policy = api.context.policy.get();
  Json meta = Json::object();
  if (!policy->terms_of_service.empty()) {
    meta["termsOfService"] = policy->terms_of_service;
  }
  if (!api.options.website.empty()) {
    meta["website"] = api.options.website;
  }
  if (!api.options.caa_identities.empty()) {
    meta["caaIdentities"] = api.options.caa_identities;
  }
  meta["externalAccountRequired"] = false;
  // draft-ietf-acme-profiles section 3.
  Json& profiles = meta["profiles"] = Json::object();
  for (const auto& [name, profile] : policy->profiles) {
    profiles[name] = profile.description;
  }
  return meta;
}

http::Response directory_response(const Api& api, const DirectoryId& directory) {
  http::Response response =
      json_response(200, {
                             {"newNonce", api.links.new_nonce(directory)},
                             {"newAccount", api.links.new_account(directory)},
                             {"newOrder", api.links.new_order(directory)},
                             {"revokeCert", api.links.revoke_certificate(directory)},
                             {"keyChange", api.links.key_change(directory)},
                             {"meta", meta_of(api)},
                         });
  add(response, "Cache-Control", "public, max-age=0, no-cache");
  return response;
}

}  // namespace

http::Response show_directory(Api& api, const Call& call) {
  return directory_response(api, call.directory);
}

http::Response read_directory(Api& api, const PostAsGet& proof) {
  return directory_response(api, proof.directory());
}

http::Response give_nonce(Api& api, const Call& call) {
  http::Response response;
  // RFC 8555 section 7.2: "The server's response MUST include a Replay-Nonce header field […]
  // status code 200 (OK)" for HEAD, "204 (No Content)" for GET.
  response.status = call.request.method == "HEAD" ? 200 : 204;
  add(response, "Replay-Nonce", api.nonces.issue());
  return response;
}

http::Response read_nonce(Api&, const PostAsGet&) {
  http::Response response;  // every answer to a POST gets its nonce from Handler
  response.status = 204;
  return response;
}

}  // namespace gatehouse::web
