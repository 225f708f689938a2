#include "acme-server/web/acme/routes.h"

#include "acme-server/http/http.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/api.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {
namespace {

OpenEndpoint open(Api& api, http::Response (*handler)(Api&, const Call&)) {
  return {[&api, handler](const Call& call) { return handler(api, call); }};
}

}  // namespace

// Every path stands under <path>/<directory>, which Links takes off; "/directory" alone is the
// first directory's too. Whoever sees a POST here sees what it takes: by_account and by_key want a
// signature over a payload, reading one over the empty string (RFC 8555 section 6.3).
Router acme_routes(Api& api, RequestAuth& auth) {
  // clang-format off
  Router router;
  router.get (kDirectoryPattern,                                  open(api, show_directory));
  router.post(kDirectoryPattern,                                  auth.reading(read_directory));
  router.get ("/new-nonce",                                       open(api, give_nonce));
  router.post("/new-nonce",                                       auth.reading(read_nonce));
  router.post("/new-account",                                     auth.by_key(create_account));
  router.post("/account/{account}",                               auth.reading_or_by_account(show_account, update_account));
  router.post("/account/{account}/orders",                        auth.reading(list_orders));
  router.post("/account/{account}/orders/{after}",                auth.reading(list_more_orders));
  router.post("/key-change",                                      auth.by_account(change_key));
  router.post("/new-order",                                       auth.by_account(create_order));
  router.post("/order/{order}",                                   auth.reading(show_order));
  router.post("/order/{order}/finalize",                          auth.by_account(finalize_order));
  router.post("/authorization/{authorization}",                   auth.reading_or_by_account(show_authorization, deactivate_authorization));
  router.post("/challenge/{challenge}",                           auth.reading_or_by_account(show_challenge, respond_to_challenge));
  router.post("/certificate/{certificate}",                       auth.reading(download_certificate));
  router.post("/certificate/{certificate}/alternate/{number}",    auth.reading(download_alternate));
  router.post("/revoke-cert",                                     auth.by_either(revoke_by_account, revoke_by_key));
  // clang-format on
  return router;
}

}  // namespace gatehouse::web
