// `gatehouse backend list | check | resume`.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/backends/backend_state.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/backends/trial.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxName = 253;

service::BackendState find_backend(Admin& admin, const std::string& name) {
  std::vector<std::string> names;
  for (service::BackendState& each : service::backend_states(admin.context)) {
    if (each.name == name) return std::move(each);
    names.push_back(std::move(each.name));
  }
  reject({.type = ProblemType::malformed,
          .detail = "There is no backend " + sanitize(name, 100) +
                    "; there is: " + join(names, ", ") + ".",
          .status = 404});
}

Json issuers_json(const service::BackendState& backend) {
  Json list = Json::array();
  for (const service::BackendState::Issuer& issuer : backend.issuers) {
    list.push_back({{"id", issuer.id.str()},
                    {"subject", issuer.subject},
                    {"not_after", to_rfc3339(issuer.not_after)}});
  }
  return list;
}

Json stop_json(const std::optional<service::BackendStop>& stop) {
  if (!stop) return nullptr;
  return {{"since", to_rfc3339(stop->since)}, {"order", stop->order.str()}, {"why", stop->why}};
}

Json backend_json(const service::BackendState& backend) {
  const auto& why = backend.why_not_ready;
  return {{"name", backend.name},
          {"type", backend.type},
          {"ready", !why && !backend.stop},
          {"why_not_ready", why ? Json(*why) : Json()},
          {"stopped", stop_json(backend.stop)},
          {"issuers", issuers_json(backend)}};
}

}  // namespace

Json list_backends(Admin& admin, const OperatorRequest& request) {
  read_payload(request.payload(), [](const JsonObject& object) { object.only({}); });
  Json list = Json::array();
  for (const service::BackendState& backend : service::backend_states(admin.context)) {
    list.push_back(backend_json(backend));
  }
  return {{"backends", std::move(list)}};
}

Json check_backend(Admin& admin, const OperatorRequest& request) {
  struct Command {
    std::string backend, name;
  };

  const auto command = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"backend", "enrol"});
    return Command{.backend = object.string("backend", 100),
                   .name = object.optional_string("enrol", kMaxName).value_or("")};
  });
  Json json = backend_json(find_backend(admin, command.backend));
  const auto said = service::probe_backend(admin.context, command.backend);
  json["said"] = said ? *said : "";
  json["fails"] = said ? Json() : Json(said.error());
  if (command.name.empty() || !json["fails"].is_null()) return json;
  json["order"] =
      service::begin_trial(admin.context, command.backend, command.name, request.actor()).str();
  return json;
}

Json resume_stopped_backend(Admin& admin, const OperatorRequest& request) {
  const std::string name = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"backend"});
    return object.string("backend", 100);
  });
  find_backend(admin, name);  // rejects one that there is not
  if (!service::resume_backend(admin.context, name, request.actor())) {
    reject({.type = ProblemType::malformed,
            .detail = "Backend " + name + " is not stopped.",
            .status = 409});
  }
  return backend_json(find_backend(admin, name));
}

}  // namespace gatehouse::web
