// CRLs while the clock is in doubt.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/crl_job.h"
#include "acme-server/service/certificates/revocation.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using std::chrono::hours;
using testing::TestKey;
using testing::TestServices;

struct Fixture {
  Fixture() {
    job.make_missing();
    services.runner().add(job, services.lane);
    job.enqueue_all();
  }

  CertificateRecord issue(const std::string& name) {
    const auto ready = services.ready_order(account, {name});
    services.orders().finalize(account, ready.order.id, TestKey().csr({name}));
    services.run_jobs();
    const CertificateId id = services.show(account, ready).order.certificate.value();
    return services.store->read([&](store::Tx& tx) { return tx.certificates().get(id).value(); });
  }

  std::optional<store::CrlRecord> in_force() {
    return services.store->read(
        [](store::Tx& tx) { return tx.crls().by_file("/crl/scripted/0.crl"); });
  }

  crypto::Crl published() {
    const store::CrlRecord crl = in_force().value();
    const std::string der =
        services.store->read([&](store::Tx& tx) { return tx.crls().octets(crl); });
    return crypto::parse_crl(as_bytes(der)).value();
  }

  std::string logged;
  TestServices services{
      TestServices::Options{.log = [this](LogLevel, std::string_view line) { logged += line; }}};
  service::PublicFiles files{services.context()};
  service::CrlJob job{services.context(), files};
  service::Revocation revocation{services.context()};
  Account account = services.new_account();
};

TEST_CASE("no CRL is made by a clock that is in doubt, and the one in force stays") {
  Fixture f;
  const CertificateRecord certificate = f.issue("a.test");
  const auto before = f.in_force();
  f.services.uptime.set_clock_by(hours(72));
  f.services.store.job_clock.advance(hours(72));
  REQUIRE_FALSE(f.services.stops().clock_is_trusted());
  f.revocation.by_operator(certificate.id, 4, OperatorByUid{0});
  f.services.run_jobs();
  f.job.make_missing();
  CHECK(f.in_force() == before);
  CHECK(f.logged.find("crl.withheld") == std::string::npos);  // it holds

  // The clock is put right, and accepted: the revocation was recorded by the wrong one.
  f.services.uptime.set_clock_by(-hours(72));
  f.services.stops().resume(service::IssuanceStops::AcceptClock::yes, OperatorByUid{0});
  f.services.run_jobs();
  const crypto::Crl crl = f.published();
  REQUIRE(crl.entries.size() == 1);
  CHECK(crl.entries.front().serial == certificate.serial);
  CHECK(crl.entries.front().revoked_at <= crl.head.this_update);
  CHECK(crl.head.this_update == f.services.store.clock.now());
}

TEST_CASE("a CRL that ends, or is not there, while the clock is in doubt is told") {
  Fixture f;
  const auto before = f.in_force();
  f.services.uptime.set_clock_by(hours(24 * 8));
  f.job.make_missing();
  CHECK(f.in_force() == before);
  CHECK(f.logged.find("crl.withheld") != std::string::npos);
  CHECK(f.logged.find("--accept-clock") != std::string::npos);
}

}  // namespace
}  // namespace gatehouse
