#include "acme-server/web/admin/ops.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/web/problem_json.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::header_of;
using testing::json_of;

struct Fixture {
  http::Response fetch(const std::string& target, const std::string& method = "GET") {
    http::Request request;
    request.method = method;
    request.target = target;
    try {
      return serve_operations(metrics, [this] { return reasons; }, stops, warnings, request);
    } catch (const RequestRejected& rejected) {
      return problem_response(rejected.problem());
    }
  }

  Metrics metrics;
  std::vector<std::string> reasons;
  Stops stops;
  Warnings warnings;
};

TEST_CASE("stopped issuance is shown, and nobody is sent away for it") {
  Fixture f;
  for (const char* page : {"/readyz", "/healthz"}) {
    CHECK(json_of(f.fetch(page))["issuance"]["stopped"] == false);
  }
  f.stops = {"The disk is full."};
  for (const char* page : {"/readyz", "/healthz"}) {
    CAPTURE(page);
    CHECK(f.fetch(page).status == 200);
    CHECK(json_of(f.fetch(page))["issuance"] ==
          Json{{"stopped", true}, {"why", {"The disk is full."}}});
  }
}

TEST_CASE("readiness says why not") {
  Fixture f;
  CHECK(f.fetch("/readyz").status == 200);
  CHECK(json_of(f.fetch("/readyz"))["ready"] == true);
  f.reasons = {"The database is read-only.", "The CRL has expired."};
  const http::Response response = f.fetch("/readyz");
  CHECK(response.status == 503);
  CHECK(json_of(response)["ready"] == false);
  CHECK(json_of(response)["reasons"] == Json(f.reasons));
  CHECK(f.fetch("/healthz").status == 200);  // alive all the same
}

TEST_CASE("a warning is shown, and the server is ready all the same") {
  Fixture f;
  f.warnings = {"The root ends."};
  const http::Response response = f.fetch("/readyz");
  CHECK(response.status == 200);
  CHECK(json_of(response)["warnings"] == Json(f.warnings));
}

TEST_CASE("metrics are Prometheus text") {
  Fixture f;
  f.metrics.counter("things_total", "Things.").add();
  const http::Response response = f.fetch("/metrics");
  CHECK(header_of(response, "Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(response.body->find("things_total 1") != std::string::npos);
  CHECK(header_of(response, "Cache-Control") == "no-store");
}

TEST_CASE("there are three pages, and they are only read") {
  Fixture f;
  for (const char* target : {"/", "", "/healthz/", "/metrics?x", "/directory"}) {
    CHECK(f.fetch(target).status == 404);
  }
  for (const char* target : {"/healthz", "/readyz", "/metrics"}) {
    CHECK(f.fetch(target, "HEAD").status == 200);
    const http::Response response = f.fetch(target, "POST");
    CHECK(response.status == 405);
    CHECK(header_of(response, "Allow") == "GET, HEAD");
  }
}

}  // namespace
}  // namespace gatehouse::web
