// A handler that asks for no proof is not taken where one is given.
#include "acme-server/web/acme/request_auth.h"

namespace gatehouse::web {

#ifdef WRONG
http::Response handle(Api&, const Call&) {
  return {};
}
#else
http::Response handle(Api&, const SignedByAccount&) {
  return {};
}
#endif

ProvenEndpoint guard(RequestAuth& auth) {
  return auth.by_account(handle);
}

}  // namespace gatehouse::web
