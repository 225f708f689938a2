#include "acme-server/web/admin.h"

#include <utility>

#include "acme-server/service/context.h"
#include "acme-server/web/operator_auth.h"
#include "acme-server/web/ops.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

Admin::Admin(service::Context& service_context, ProcessFacts process_facts, Readiness why_not_ready)
    : context(service_context),
      process(std::move(process_facts)),
      readiness(std::move(why_not_ready)),
      inventory(service_context) {}

Router admin_routes(OperatorAuth& auth) {
  // clang-format off
  Router router;
  router.post("/status",               auth.command(show_status));
  router.post("/backup",               auth.command(make_backup));
  router.post("/stop-issuance",        auth.command(stop_issuance));
  router.post("/resume-issuance",      auth.command(resume_issuance));
  // clang-format on
  return router;
}

}  // namespace gatehouse::web
