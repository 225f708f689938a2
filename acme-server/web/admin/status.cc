// `gatehouse status`.
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/service/operations/chain_ends.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

Json to_json(const service::IssuerState& issuer) {
  Json crls = Json::array();
  for (const service::IssuerState::Crl& crl : issuer.crls) {
    Json entry = {{"url", crl.url}, {"number", nullptr}};
    if (crl.in_force) {
      entry["number"] = crl.in_force->number;
      entry["this_update"] = to_rfc3339(crl.in_force->this_update);
      entry["next_update"] = to_rfc3339(crl.in_force->next_update);
    }
    crls.push_back(std::move(entry));
  }
  return {{"backend", issuer.backend},
          {"id", issuer.id.str()},
          {"subject", issuer.subject},
          {"serial", issuer.serial},
          {"not_before", to_rfc3339(issuer.not_before)},
          {"not_after", to_rfc3339(issuer.not_after)},
          {"signs_new", issuer.signs_new},
          {"crls", std::move(crls)}};
}

Json to_json(const store::JobCount& count) {
  return {{"kind", store::to_string(count.kind)},
          {"waiting", count.waiting},
          {"next", to_rfc3339(count.next)}};
}

Json to_json(const store::ParkedJob& job) {
  return {{"kind", store::to_string(job.kind)}, {"subject", job.subject}, {"why", job.note}};
}

template <class Values>
Json list_of(const Values& values) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(to_json(value));
  return list;
}

Json names_of_directories(const Admin& admin) {
  Json names = Json::array();
  for (const auto& [name, directory] : admin.context.policy.get()->directories) {
    names.push_back(name.str());
  }
  return names;
}

}  // namespace

Json show_status(Admin& admin, const OperatorRequest& request) {
  read_payload(request.payload(), [](const JsonObject& object) { object.only({}); });
  const service::InstallationState state = admin.inventory.state();
  const std::vector<std::string> reasons = admin.readiness();
  const Instant now = admin.context.clock.now();
  return {{"version", admin.process.version},
          {"now", to_rfc3339(now)},
          {"started", to_rfc3339(admin.process.started)},
          {"uptime_seconds", (now - admin.process.started).count()},
          {"ready", reasons.empty()},
          {"not_ready", reasons},
          {"warnings", service::print_cut(service::chain_ends(admin.context.backends,
                                                              *admin.context.policy.get(), now))},
          {"issuance_stopped", stops_json(admin)},
          {"listeners", admin.process.listeners()},
          {"directories", names_of_directories(admin)},
          {"database", admin.process.database},
          {"schema", state.schema},
          {"issuers", list_of(state.issuers)},
          {"jobs", list_of(state.jobs)},
          {"parked", list_of(state.parked)},
          {"audit", {{"sequence", state.audit.sequence}, {"hash", state.audit.hash}}}};
}

}  // namespace gatehouse::web
