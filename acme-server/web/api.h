// Api: what the endpoints work with, gathered once by Handler.
#pragma once

#include "acme-server/service/accounts/accounts.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/revocation.h"
#include "acme-server/service/context.h"
#include "acme-server/service/orders/challenges.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/web/acme/nonces.h"
#include "acme-server/web/links.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {

// `context` outlives it. Safe from any thread.
struct Api {
  Api(const WebOptions& web_options, service::Context& service_context);

  service::Context& context;
  WebOptions options;
  Links links;
  Nonces nonces;
  service::Accounts accounts;
  service::Orders orders;
  service::Authorizations authorizations;
  service::Challenges challenges;
  service::Certificates certificates;
  service::Revocation revocation;
};

}  // namespace gatehouse::web
