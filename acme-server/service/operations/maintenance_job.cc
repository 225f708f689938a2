#include "acme-server/service/operations/maintenance_job.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/log.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/operations/chain_ends.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/validity.h"

namespace gatehouse::service {
namespace {

using std::chrono::seconds;

constexpr std::string_view kMaintenanceSubject = "server";
constexpr std::string_view kWarnedAt = "maintenance.warned_at";  // Unix seconds, in State
constexpr double kSecondsPerDay = 86400;
constexpr seconds kMonth = std::chrono::hours(24 * 30);
constexpr seconds kNever = seconds::min();

// An issuer with less than this left issues shorter certificates.
seconds longest_validity(const Policy& policy, const std::string& backend) {
  seconds longest{0};
  for (const auto& [directory_name, directory] : policy.directories) {
    for (const auto& [profile_name, profile] : directory.profiles) {
      if (profile.backend == backend) longest = std::max(longest, profile.validity);
    }
  }
  return longest;
}

// Another issuing CA would not last longer than what ends above it.
std::string next_step_for(const backends::ChainLifetime& chain) {
  const std::string remedy = backends::remedy_for(chain.ends_first);
  return chain.ends_first == backends::CaRole::issuer
             ? remedy
             : "first " + backends::describe(chain) + ": " + remedy;
}

bool is_today(const std::optional<std::string>& warned_at, Instant now) {
  if (!warned_at) return false;
  std::int64_t at = 0;
  std::from_chars(warned_at->data(), warned_at->data() + warned_at->size(), at);
  // After the clock was set back, a time in the future must not suppress the warning.
  return from_unix(at) <= now && now - from_unix(at) < MaintenanceJob::kWarnEvery;
}

void warn(Log& log, const std::vector<Expiring>& expiring,
          const std::vector<store::ParkedJob>& parked, Instant now) {
  for (const Expiring& thing : expiring) {
    if (thing.ends - now >= thing.warn_before) continue;
    const double days = static_cast<double>((thing.ends - now).count()) / kSecondsPerDay;
    log.warning(thing.ends < now ? "maintenance.expired" : "maintenance.expiring",
                {{"what", thing.what},
                 {"ends", to_rfc3339(thing.ends)},
                 {"days_left", std::round(days * 10) / 10},
                 {"next_step", thing.next_step}});
  }
  for (const store::ParkedJob& job : parked) {
    log.warning(
        "maintenance.job_parked",
        {{"kind", store::to_string(job.kind)}, {"subject", job.subject}, {"why", job.note}});
  }
}

}  // namespace

std::vector<Expiring> expiring_of(Context& context) {
  std::map<std::string, Expiring> every;  // roots are shared by issuers
  const auto policy = context.policy.get();
  // A CRL in force that is older than two intervals was not renewed when it should have been.
  const ServerRules& rules = policy->server;
  const seconds crl_warning =
      std::max(rules.crl_lifetime - 2 * rules.crl_interval, rules.crl_lifetime / 4);
  const auto add = [&](Expiring thing) { every.emplace(thing.what, std::move(thing)); };
  for (backends::Backend* backend : context.backends.all()) {
    const backends::IssuersSnapshot issuers = backend->certificates->issuers();
    for (const backends::Issuer& issuer : issuers->all) {
      const bool in_use = &issuer == issuers->in_use();
      add({.what = "issuer " + issuer.certificate.subject_name,
           .ends = issuer.certificate.not_after,
           .warn_before = in_use ? kMonth + longest_validity(*policy, backend->name) : kNever,
           .kind = "issuer",
           .name = issuer.certificate.subject_name,
           .next_step = in_use ? next_step_for(backends::lifetime_of(issuer)) : ""});
      if (!in_use) continue;
      for (std::size_t above = 1; above < issuer.chain.size(); ++above) {
        add({.what = "CA " + issuer.chain[above].subject_name,
             .ends = issuer.chain[above].not_after,
             .warn_before = kMonth + longest_validity(*policy, backend->name),
             .kind = "ca",
             .name = issuer.chain[above].subject_name,
             .next_step = backends::remedy_for(backends::CaRole::intermediate)});
      }
      if (!issuer.root) continue;
      add({.what = "root " + issuer.root->subject_name,
           .ends = issuer.root->not_after,
           .warn_before = kMonth + longest_validity(*policy, backend->name),
           .kind = "root",
           .name = issuer.root->subject_name,
           .next_step = backends::remedy_for(backends::CaRole::root)});
    }
    if (backend->crls == nullptr) continue;
    for (const backends::CrlShard& shard : issuers->shards) {
      const auto crl = context.store.read(
          [&](store::Tx& tx) { return tx.crls().in_force(shard.issuer, shard.url); });
      if (!crl) continue;
      add({.what = "CRL " + shard.url,
           .ends = crl->next_update,
           .warn_before = crl_warning,
           .kind = "crl",
           .name = shard.url,
           .next_step = context.stops.clock_is_trusted()
                            ? "see the log's events job.failed of publish_crl"
                            : "set the clock, then gatehouse resume-issuance --accept-clock: no "
                              "CRL is signed meanwhile"});
    }
    for (const backends::OfflineCrl& crl : backend->crls->offline_crls()) {
      add({.what = "root CRL " + crl.file,
           .ends = crl.next_update,
           .kind = "root_crl",
           .name = crl.file,
           .next_step = "gatehouse root crl, where the root's key is"});
    }
  }
  std::vector<Expiring> list;
  for (auto& [what, thing] : every) list.push_back(std::move(thing));
  return list;
}

MaintenanceJob::MaintenanceJob(Context& context, std::function<std::vector<Expiring>()> expiring)
    : context_(context),
      expiring_(std::move(expiring)),
      jobs_parked_(context.metrics.gauge("gatehouse_jobs_parked",
                                         "Jobs that wait for the operator's decision.")) {}

void MaintenanceJob::run(JobRun& run) {
  const std::vector<Expiring> expiring = expiring_();
  const Instant now = context_.clock.now();
  for (const Expiring& thing : expiring) {
    context_.metrics
        .gauge("gatehouse_expiry_timestamp_seconds",
               "When something ends that an operator must renew, in Unix seconds.",
               {{"kind", thing.kind}, {"name", thing.name.empty() ? thing.what : thing.name}})
        .set(static_cast<double>(to_unix(thing.ends)));
  }
  for (const ChainEnd& end : chain_ends(context_.backends, *context_.policy.get(), now)) {
    context_.metrics
        .gauge("gatehouse_backend_certificates_cut",
               "1 while certificates are cut short by the end of a CA, 2 while none are issued.",
               {{"backend", end.backend}})
        .set(!end.halted.empty() ? 2
             : !end.cut.empty()  ? 1
                                 : 0);
  }
  bool warned = false;
  const auto parked = context_.store.write([&](store::Tx& tx) {
    warned = is_today(tx.state().get(kWarnedAt), now);
    if (!warned) tx.state().set(kWarnedAt, std::to_string(to_unix(now)));
    run.postpone(tx, tx.job_now() + kEvery, "");
    return tx.jobs().parked();
  });
  crash_point("maintenance.noted");
  jobs_parked_.set(static_cast<double>(parked.size()));
  if (!warned) warn(context_.log, expiring, parked, now);
}

void MaintenanceJob::enqueue() {
  const std::string id = random_row_id(context_.entropy, context_.job_clock.now());
  context_.store.write([&](store::Tx& tx) {
    tx.jobs().enqueue(id, store::JobKind::maintenance, kMaintenanceSubject, tx.job_now());
    tx.after_commit(context_.wake);
  });
}

}  // namespace gatehouse::service
