// The directory and newNonce (RFC 8555 sections 7.1.1 and 7.2).
#include "acme-server/base/json.h"
#include "acme-server/core/ids.h"
#include "acme-server/http/http.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/api.h"
#include "acme-server/web/responses.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {
namespace {

Json meta_of(const service::Directory& directory) {
  Json meta = Json::object();
  if (!directory.terms_of_service.empty()) {
    meta["termsOfService"] = directory.terms_of_service;
  }
  if (!directory.website.empty()) {
    meta["website"] = directory.website;
  }
  if (!directory.caa_identities.empty()) {
    meta["caaIdentities"] = directory.caa_identities;
  }
  meta["externalAccountRequired"] = false;
  // draft-ietf-acme-profiles section 3.
  Json& profiles = meta["profiles"] = Json::object();
  for (const auto& [name, profile] : directory.profiles) {
    profiles[name] = profile.description;
  }
  return meta;
}

http::Response directory_response(const Api& api, const service::Directory& directory) {
  const DirectoryId& name = directory.name;
  http::Response response =
      json_response(200, {
                             {"newNonce", api.links.new_nonce(name)},
                             {"newAccount", api.links.new_account(name)},
                             {"newOrder", api.links.new_order(name)},
                             {"revokeCert", api.links.revoke_certificate(name)},
                             {"keyChange", api.links.key_change(name)},
                             {"meta", meta_of(directory)},
                         });
  add(response, "Cache-Control", "public, max-age=0, no-cache");
  return response;
}

}  // namespace

http::Response show_directory(Api& api, const Call& call) {
  return directory_response(api, *call.directory);
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
