#include "acme-server/service/operations/maintenance_job.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "acme-server/service/certificates/crl_job.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using service::Expiring;
using service::MaintenanceJob;
using std::chrono::hours;
using std::chrono::seconds;
using testing::kNoon;
using testing::TestServices;

struct Fixture {
  Fixture() {
    services.runner().add(job, services.lane);
    job.enqueue();
  }

  std::size_t logged(const std::string& event) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        lines, [&](const std::string& line) { return line.find(event) != std::string::npos; }));
  }

  bool has_metric(const std::string& line) {
    return services.store.metrics.text().find(line) != std::string::npos;
  }

  std::vector<std::string> lines;
  std::vector<Expiring> expiring;
  TestServices services{
      {.log = [this](LogLevel, std::string_view line) { lines.emplace_back(line); }}};
  MaintenanceJob job{services.context(), [this] { return expiring; }};
};

}  // namespace

TEST_CASE("what is over soon is warned of once a day, what is not is not") {
  Fixture f;
  f.expiring = {{.what = "issuer", .ends = kNoon + hours(24 * 29), .next_step = "rotate it"},
                {.what = "root", .ends = kNoon + hours(24 * 31)},
                {.what = "CRL", .ends = kNoon + hours(5), .warn_before = hours(4)},
                {.what = "gone", .ends = kNoon - hours(1)}};
  f.services.run_jobs();
  CHECK(f.logged("maintenance.expiring") == 1);
  CHECK(f.logged("\"issuer\"") == 1);
  CHECK(f.logged("rotate it") == 1);
  CHECK(f.logged("maintenance.expired") == 1);
  for (int i = 0; i < 12; ++i) {
    f.services.advance(MaintenanceJob::kEvery);
    f.services.run_jobs();
  }
  CHECK(f.logged("maintenance.expiring") == 1);
  f.services.advance(hours(24));
  f.services.run_jobs();
  CHECK(f.logged("\"issuer\"") == 2);
}

TEST_CASE("gauges say when things end, by kind and name, at every run") {
  Fixture f;
  f.expiring = {{.what = "issuer X", .ends = kNoon + hours(36), .kind = "issuer", .name = "X"},
                {.what = "a thing", .ends = kNoon}};
  f.services.run_jobs();
  const auto expiry = [&](const std::string& labels, Instant at) {
    return f.has_metric("gatehouse_expiry_timestamp_seconds{" + labels + "} " +
                        std::to_string(to_unix(at)) + "\n");
  };
  CHECK(expiry(R"(kind="issuer",name="X")", kNoon + hours(36)));
  CHECK(expiry(R"(kind="other",name="a thing")", kNoon));
  CHECK(f.has_metric("gatehouse_jobs_parked 0\n"));
  f.expiring.front().ends += hours(1);
  f.services.store.job_clock.advance(MaintenanceJob::kEvery);
  f.services.run_jobs();
  CHECK(expiry(R"(kind="issuer",name="X")", kNoon + hours(37)));
}

TEST_CASE("parked jobs are counted and warned of") {
  Fixture f;
  f.services.store->write([](store::Tx& tx) {
    tx.jobs().enqueue("id", store::JobKind::own_certificate, "x", tx.job_now());
    const auto claimed = tx.jobs().claim_due(store::JobKind::own_certificate, tx.job_now(), 1,
                                             tx.job_now() + seconds(60), "lease");
    REQUIRE(claimed.size() == 1);
    REQUIRE(tx.jobs().park(claimed.front(), "ask someone"));
  });
  f.services.run_jobs();
  CHECK(f.has_metric("gatehouse_jobs_parked 1\n"));
  CHECK(f.logged("ask someone") == 1);
}

TEST_CASE("a Server's own list has its issuer, root and CRLs") {
  TestServices services;
  backends::Issuer issuer = services.ca->issuers()->all.front();
  const auto next_step = [&] {
    for (const Expiring& thing : service::expiring_of(services.context())) {
      if (thing.what.starts_with("issuer ")) return thing.next_step;
    }
    return std::string();
  };
  // Its root ends with it, so that another issuer would not last longer.
  CHECK(next_step().starts_with("first the root \"CN=Scripted Root\": a new CA"));
  issuer.root->not_after += hours(24);
  services.ca->set_issuers({issuer});
  service::PublicFiles files(services.context());
  service::CrlJob crls(services.context(), files);
  crls.make_missing();
  std::vector<std::string> what;
  for (const Expiring& thing : service::expiring_of(services.context())) {
    what.push_back(thing.what);
    if (thing.what.starts_with("issuer ")) {
      // While certificates of full length still fit, so that none is cut short.
      CHECK(thing.warn_before >
            services.policy.directory(DirectoryId("default"))->profile("")->validity);
      CHECK(thing.next_step.find("gatehouse rotate-issuer") != std::string::npos);
    }
    if (thing.what.starts_with("CRL ")) {
      CHECK(thing.ends == kNoon + services.policy.get()->server.crl_lifetime);
      CHECK(thing.warn_before < services.policy.get()->server.crl_lifetime);
    }
  }
  CHECK(what == std::vector<std::string>{"CRL http://pki.test/crl/scripted/0.crl",
                                         "issuer CN=Scripted CA", "root CN=Scripted Root"});
}

}  // namespace gatehouse
