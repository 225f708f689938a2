#include "ca-backends/registry.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "ca-backends/backend.h"
#include "ca-backends/est/est_backend.h"
#include "ca-backends/est/est_options.h"
#include "ca-backends/exec/exec_backend.h"
#include "ca-backends/exec/exec_options.h"
#include "ca-backends/local_ca/local_ca.h"
#include "ca-backends/local_ca/local_ca_options.h"

namespace gatehouse::backends {
namespace {

struct BackendType {
  std::string_view name;
  Backend (*make)(const std::string& name, const JsonObject& options,
                  const BackendContext& context);
  void (*check)(const JsonObject& options);
  std::vector<CrlShard> (*crls)(const JsonObject& options, const BackendContext& context);
};

constexpr std::array kBackends = {
    BackendType{"local", make_local_ca, check_local_ca_options, crls_of_local_ca},
    BackendType{"est", make_est, check_est_options, crls_of_est},
    BackendType{"exec", make_exec, check_exec_options, crls_of_exec},
};

const BackendType& type_of(const JsonObject& options) {
  const std::string& name = options.string("type", 64);
  const auto found = std::ranges::find(kBackends, name, &BackendType::name);
  if (found != kBackends.end()) return *found;
  std::vector<std::string> known;
  known.reserve(kBackends.size());
  for (const BackendType& type : kBackends) known.emplace_back(type.name);
  throw JsonError(options.path_of("type") + ": \"" + sanitize(name, 40) +
                  "\" is no type of backend; there is: " + join(known, ", "));
}

}  // namespace

Backend make_backend(const std::string& name, const JsonObject& options,
                     const BackendContext& context) {
  const BackendType& type = type_of(options);
  Backend made = type.make(name, options, context);
  made.type = type.name;
  return made;
}

std::vector<CrlShard> crls_of_backend(const JsonObject& options, const BackendContext& context) {
  return type_of(options).crls(options, context);
}

void check_backend_options(const JsonObject& options) {
  type_of(options).check(options);
}

}  // namespace gatehouse::backends
