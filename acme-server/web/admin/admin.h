// THE TABLE of operators' commands: what the control listener takes, and from whom.
//
// Each command is a POST of a JSON object to its own path, answered with JSON, or with a problem
// whose detail is for the operator. What changes anything writes an audit event by
// OperatorRequest::actor(). To add one: a handler declared here, one line in admin_routes().
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/service/accounts/accounts.h"
#include "acme-server/service/certificates/revocation.h"
#include "acme-server/service/context.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/service/operations/maintenance_job.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/admin/ops.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

// The process, as only the application knows it.
struct ProcessFacts {
  std::string version;   // "0.1.0"
  std::string database;  // "SQLite 3.40.1 (/var/lib/gatehouse/gatehouse.db)"
  Instant started;
  // Whose processes may command: root and the server's own user.
  std::vector<std::uint32_t> operators = {};
  // Everything that expires, as the maintenance job sees it; called on request threads.
  std::function<std::vector<service::Expiring>()> expiring = [] {
    return std::vector<service::Expiring>();
  };
  // What does not keep the server from serving, and yet an operator must mend, a sentence each.
  // Called on request threads.
  std::function<std::vector<std::string>()> warnings = [] { return std::vector<std::string>(); };
  // "acme.0 on [::]:443"; called on request threads.
  std::function<std::vector<std::string>()> listeners = [] { return std::vector<std::string>(); };
};

// What the commands work with. Safe from any thread; what it is given outlives it.
struct Admin {
  Admin(service::Context& service_context, ProcessFacts process_facts, Readiness why_not_ready);

  service::Context& context;
  ProcessFacts process;
  Readiness readiness;
  service::Inventory inventory;
  service::Revocation revocation;
  service::Accounts accounts;
};

Router admin_routes(OperatorAuth& auth);

// admin_status.cc
Json show_status(Admin& admin, const OperatorRequest& request);

// admin_issuance.cc
Json stops_json(Admin& admin);  // why nothing is signed; empty: it is
Json stop_issuance(Admin& admin, const OperatorRequest& request);
Json resume_issuance(Admin& admin, const OperatorRequest& request);

// admin_backup.cc
Json record_backup(Admin& admin, const OperatorRequest& request);

// admin_certificates.cc
Json list_certificates(Admin& admin, const OperatorRequest& request);
Json show_certificate(Admin& admin, const OperatorRequest& request);
Json revoke_certificate_by_operator(Admin& admin, const OperatorRequest& request);

// admin_accounts.cc
Json list_accounts(Admin& admin, const OperatorRequest& request);
Json show_account_to_operator(Admin& admin, const OperatorRequest& request);
Json deactivate_account_by_operator(Admin& admin, const OperatorRequest& request);

// admin_orders.cc
Json list_orders_for_operator(Admin& admin, const OperatorRequest& request);
Json show_order_to_operator(Admin& admin, const OperatorRequest& request);
Json resume_order(Admin& admin, const OperatorRequest& request);
Json fail_order_by_operator(Admin& admin, const OperatorRequest& request);
Json adopt_certificate_for_order(Admin& admin, const OperatorRequest& request);

// admin_backends.cc
Json list_backends(Admin& admin, const OperatorRequest& request);
Json check_backend(Admin& admin, const OperatorRequest& request);
Json resume_stopped_backend(Admin& admin, const OperatorRequest& request);

// admin_audit.cc
Json list_audit_events(Admin& admin, const OperatorRequest& request);
Json verify_audit_events(Admin& admin, const OperatorRequest& request);

}  // namespace gatehouse::web
