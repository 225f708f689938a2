#include "acme-server/web/api.h"

#include "acme-server/service/context.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {

Api::Api(const WebOptions& web_options, service::Context& service_context)
    : context(service_context),
      options(web_options),
      links(web_options),
      nonces(service_context.entropy),
      accounts(service_context),
      orders(service_context),
      authorizations(service_context),
      challenges(service_context),
      certificates(service_context),
      revocation(service_context) {}

}  // namespace gatehouse::web
