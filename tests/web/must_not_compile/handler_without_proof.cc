// A handler that asks for no proof is not taken where one is given.
#include "acme-server/web/acme/request_auth.h"

namespace gatehouse::web {

#ifdef WRONG
Answer handle(Api&, const Call&) {
  return http::Response{};
}
#else
Answer handle(Api&, const SignedByAccount&) {
  return http::Response{};
}
#endif

ProvenEndpoint guard(RequestAuth& auth) {
  return auth.by_account(handle);
}

}  // namespace gatehouse::web
