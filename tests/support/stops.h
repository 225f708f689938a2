// What tests of stops ask of TestServices: the reasons in force, and what the audit trail says.
#pragma once

#include <string>
#include <vector>

#include "acme-server/service/stops/issuance_stops.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {

inline constexpr OperatorByUid kOperator{1000};

inline std::vector<service::StopReason> reasons_of(const std::vector<service::Stop>& stops) {
  std::vector<service::StopReason> reasons;
  for (const service::Stop& stop : stops) reasons.push_back(stop.reason);
  return reasons;
}

// The reasons in force.
inline std::vector<service::StopReason> reasons(TestServices& services) {
  return reasons_of(services.stops().all());
}

// The audit trail's events about stops, in order: "<kind> <reason> <actor>".
inline std::vector<std::string> audited(TestServices& services) {
  std::vector<std::string> all;
  for (const store::AuditRow& row :
       services.store->read([](store::Tx& tx) { return tx.audit().list(0, 1000); })) {
    if (!row.event.kind.starts_with("issuance.")) continue;
    all.push_back(row.event.kind + " " + row.event.details.at("reason").get<std::string>() + " " +
                  to_string(row.event.actor));
  }
  return all;
}

inline bool is_valid_order(TestServices& services, const Account& account,
                           const service::OrderView& view) {
  return services.show(account, view).status == OrderStatus::valid;
}

}  // namespace gatehouse::testing
