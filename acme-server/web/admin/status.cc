// `gatehouse status`.
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/service/operations/chain_ends.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/service/operations/maintenance_job.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/stops/stop.h"
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

bool is_due(const service::Expiring& thing, Instant now) {
  return thing.ends - now < thing.warn_before;
}

// Roots, their CRLs, listener certificates: `state` is "ok", "warning" or "expired".
Json to_json(const service::Expiring& thing, Instant now) {
  const char* state = thing.ends < now ? "expired" : is_due(thing, now) ? "warning" : "ok";
  return {{"what", thing.what},
          {"ends", to_rfc3339(thing.ends)},
          {"state", state},
          {"next_step", thing.next_step}};
}

// What a person must see to, a sentence each; empty: nothing.
Json attention(const std::vector<std::string>& not_ready, const std::vector<std::string>& warnings,
               const std::vector<service::Stop>& stops, const std::vector<store::ParkedJob>& parked,
               const std::vector<service::Expiring>& expiring, Instant now) {
  Json list = Json::array();
  for (const std::string& reason : not_ready) list.push_back("not ready: " + reason);
  for (const std::string& warning : warnings) list.push_back(warning);
  for (const service::Stop& stop : stops) {
    list.push_back("issuance is stopped since " + to_rfc3339(stop.since) + ": " + stop.why);
  }
  for (const store::ParkedJob& job : parked) {
    list.push_back(std::string(store::to_string(job.kind)) + " of " + job.subject +
                   " waits for an operator: " + job.note);
  }
  for (const service::Expiring& thing : expiring) {
    if (!is_due(thing, now)) continue;
    list.push_back(thing.what + (thing.ends < now ? " has ended at " : " ends at ") +
                   to_rfc3339(thing.ends) +
                   (thing.next_step.empty() ? "" : "; next step: " + thing.next_step));
  }
  return list;
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
  const std::vector<service::Expiring> expiring = admin.process.expiring();
  Json all_expiring = Json::array();
  for (const service::Expiring& thing : expiring) all_expiring.push_back(to_json(thing, now));
  std::vector<std::string> warnings = service::print_cut(
      service::chain_ends(admin.context.backends, *admin.context.policy.get(), now));
  for (const service::BackendStop& stop : state.stopped_backends) {
    warnings.push_back(service::explain(stop));
  }
  for (std::string& warning : admin.process.warnings()) warnings.push_back(std::move(warning));
  return {{"version", admin.process.version},
          {"now", to_rfc3339(now)},
          {"started", to_rfc3339(admin.process.started)},
          {"uptime_seconds", (now - admin.process.started).count()},
          {"ready", reasons.empty()},
          {"not_ready", reasons},
          {"warnings", warnings},
          {"issuance_stopped", stops_json(admin)},
          {"listeners", admin.process.listeners()},
          {"directories", names_of_directories(admin)},
          {"database", admin.process.database},
          {"schema", state.schema},
          {"issuers", list_of(state.issuers)},
          {"jobs", list_of(state.jobs)},
          {"parked", list_of(state.parked)},
          {"audit", {{"sequence", state.audit.sequence}, {"hash", state.audit.hash}}},
          {"expiring", std::move(all_expiring)},
          {"attention",
           attention(reasons, warnings, admin.context.stops.all(), state.parked, expiring, now)}};
}

}  // namespace gatehouse::web
