#include "acme-server/web/admin/ops.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/metrics.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

constexpr std::array<std::string_view, 3> kPaths = {"/healthz", "/readyz", kMetricsPage};

http::Response show(const Metrics& metrics, const Readiness& readiness, const Stops& stops,
                    const Warnings& warnings, std::string_view path) {
  const Json issuance = {{"stopped", !stops.empty()}, {"why", stops}};
  if (path == "/healthz") {
    return json_response(200, {{"status", "ok"}, {"issuance", issuance}});
  }
  if (path == "/readyz") {
    const std::vector<std::string> reasons = readiness();
    return json_response(reasons.empty() ? 200 : 503, {{"ready", reasons.empty()},
                                                       {"reasons", reasons},
                                                       {"warnings", warnings},
                                                       {"issuance", issuance}});
  }
  return text_response(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text());
}

}  // namespace

http::Response serve_operations(const Metrics& metrics, const Readiness& readiness,
                                const Stops& stops, const Warnings& warnings,
                                const http::Request& request) {
  if (std::ranges::find(kPaths, request.target) == kPaths.end()) {
    reject({.type = ProblemType::unspecified,
            .detail = "There is no such page here; there are /healthz, /readyz and /metrics.",
            .status = 404});
  }
  if (request.method != "GET" && request.method != "HEAD") {
    reject({.type = ProblemType::unspecified,
            .detail = "Pages are fetched with GET.",
            .status = 405,
            .allow = "GET, HEAD"});
  }
  http::Response response = show(metrics, readiness, stops, warnings, request.target);
  add(response, "Cache-Control", "no-store");
  return response;
}

}  // namespace gatehouse::web
