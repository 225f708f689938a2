// What takes a POST is not open to everyone.
#include "acme-server/web/router.h"

namespace gatehouse::web {

void route(Router& router, const OpenEndpoint& endpoint) {
#ifdef WRONG
  router.post("/new-order", endpoint);
#else
  router.get("/new-order", endpoint);
#endif
}

}  // namespace gatehouse::web
