#include "acme-server/web/admin/admin.h"

#include <utility>

#include "acme-server/service/context.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/admin/ops.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

Admin::Admin(service::Context& service_context, ProcessFacts process_facts, Readiness why_not_ready)
    : context(service_context),
      process(std::move(process_facts)),
      readiness(std::move(why_not_ready)),
      inventory(service_context),
      revocation(service_context),
      accounts(service_context) {}

Router admin_routes(OperatorAuth& auth) {
  // clang-format off
  Router router;
  router.post("/status",               auth.command(show_status));
  router.post("/backup",               auth.command(record_backup));
  router.post("/stop-issuance",        auth.command(stop_issuance));
  router.post("/resume-issuance",      auth.command(resume_issuance));
  router.post("/certificate/list",     auth.command(list_certificates));
  router.post("/certificate/show",     auth.command(show_certificate));
  router.post("/certificate/revoke",   auth.command(revoke_certificate_by_operator));
  router.post("/account/list",         auth.command(list_accounts));
  router.post("/account/show",         auth.command(show_account_to_operator));
  router.post("/account/deactivate",   auth.command(deactivate_account_by_operator));
  router.post("/order/list",           auth.command(list_orders_for_operator));
  router.post("/order/show",           auth.command(show_order_to_operator));
  router.post("/order/resume",         auth.command(resume_order));
  router.post("/order/fail",           auth.command(fail_order_by_operator));
  router.post("/order/adopt",          auth.command(adopt_certificate_for_order));
  router.post("/backend/list",         auth.command(list_backends));
  router.post("/backend/check",        auth.command(check_backend));
  router.post("/backend/resume",       auth.command(resume_stopped_backend));
  router.post("/audit/list",           auth.command(list_audit_events));
  router.post("/audit/verify",         auth.command(verify_audit_events));
  // clang-format on
  return router;
}

}  // namespace gatehouse::web
