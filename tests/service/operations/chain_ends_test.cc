#include "acme-server/service/operations/chain_ends.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/service/operations/maintenance_job.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using service::chain_ends;
using service::print_cut;
using service::print_halted;
using std::chrono::hours;
using std::chrono::seconds;
using testing::kNoon;
using testing::TestServices;

struct Fixture {
  // The root of the issuer in use ends then.
  void end_root(Instant at) {
    backends::Issuer issuer = services.ca->issuers()->all.front();
    issuer.root->not_after = at;
    services.ca->set_issuers({issuer});
  }

  std::vector<service::ChainEnd> ends() {
    return chain_ends(services.context().backends, *services.policy.get(), kNoon);
  }

  seconds validity() const {
    return services.policy.directory(DirectoryId("default"))->profile("")->validity;
  }

  TestServices services;
};

}  // namespace

TEST_CASE("a CA that ends within a profile's validity is warned of, with the remedy for that CA") {
  Fixture f;
  f.end_root(kNoon + f.validity());
  CHECK(print_cut(f.ends()).empty());
  f.end_root(kNoon + f.validity() - seconds(1));
  REQUIRE(print_cut(f.ends()).size() == 1);
  const std::string warning = print_cut(f.ends()).front();
  CHECK_MESSAGE(warning.starts_with("backend local: the root \"CN=Scripted Root\" ends at "
                                    "2026-08-30T11:59:59Z, and so do certificates of profile "),
                warning);
  CHECK_MESSAGE(warning.ends_with("a new CA under a new root: gatehouse init in another folder"),
                warning);
  CHECK(print_halted(f.ends()).empty());
}

TEST_CASE("a CA that leaves less than the least validity is a reason not to be ready") {
  Fixture f;
  f.end_root(kNoon + hours(1));
  CHECK(print_halted(f.ends()).empty());
  f.end_root(kNoon + hours(1) - seconds(1));
  CHECK(print_cut(f.ends()).empty());
  REQUIRE(print_halted(f.ends()).size() == 1);
  CHECK(print_halted(f.ends()).front().find("nothing is issued any more of profile ") !=
        std::string::npos);
}

TEST_CASE("the metric tells whether certificates are cut, or not issued") {
  Fixture f;
  service::MaintenanceJob job(f.services.context(),
                              [] { return std::vector<service::Expiring>(); });
  f.services.runner().add(job, f.services.lane);
  const auto has = [&](const std::string& value) {
    job.enqueue();
    f.services.advance(service::MaintenanceJob::kEvery);
    f.services.run_jobs();
    const std::string line = "gatehouse_backend_certificates_cut{backend=\"local\"} " + value;
    return f.services.store.metrics.text().find(line + "\n") != std::string::npos;
  };
  CHECK(has("0"));
  f.end_root(kNoon + hours(24));
  CHECK(has("1"));
  f.end_root(kNoon + seconds(60));
  CHECK(has("2"));
}

}  // namespace gatehouse
