// The operations listener: is the process alive, is it ready, what does it count.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/metrics.h"
#include "acme-server/http/http.h"

namespace gatehouse::web {

// Why the server is not ready to take requests, a sentence each; none: it is. Called on request
// threads.
using Readiness = std::function<std::vector<std::string>()>;

inline constexpr std::string_view kMetricsPage = "/metrics";

// Why nothing is signed, a sentence each; none: issuance goes on.
using Stops = std::vector<std::string>;

// What an operator must see to before it keeps anybody from being served, a sentence each.
using Warnings = std::vector<std::string>;

// GET /healthz: 200 while the process answers. GET /readyz: 200, or 503 with the reasons, as JSON.
// Stopped issuance is shown by both and makes neither fail: downloads, revocation and CRLs go on,
// and nobody should take the server away from them; so are warnings, by /readyz. GET /metrics: the
// Prometheus text format. Rejects anything else (404, 405).
http::Response serve_operations(const Metrics& metrics, const Readiness& readiness,
                                const Stops& stops, const Warnings& warnings,
                                const http::Request& request);

}  // namespace gatehouse::web
