// The right to read is not the right to change.
#include "acme-server/web/acme/endpoints.h"

namespace gatehouse::web {

#ifdef WRONG
using Held = PostAsGet;
#else
using Held = SignedByAccount;
#endif

Answer change(Api& api, const Held& proof) {
  return deactivate_authorization(api, proof);
}

}  // namespace gatehouse::web
