#include "acme-server/service/certificates/crl_job.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/core/principal.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

using std::chrono::seconds;

// How many parts of a CRL that is no more go in one transaction.
constexpr std::int64_t kSweptAtOnce = 4;

// Why `der` is not what was to be made: what is published is read back as a stranger would read it.
std::optional<std::string> why_unfit(const store::CrlRecord& crl, ByteView der,
                                     const crypto::Certificate& issuer) {
  const auto read = crypto::summarize_crl(der);
  if (!read) return read.error();
  if (!crypto::crl_is_signed_by(der, issuer)) return "its signature does not verify";
  if (read->head.issuer_name_der != issuer.subject_name_der) return "it names another issuer";
  if (read->head.number != crl.number) return "it has another number";
  if (read->head.distribution_point != crl.url) return "it names another distribution point";
  if (read->head.this_update != crl.this_update || read->head.next_update != crl.next_update) {
    return "it has other dates";
  }
  if (std::cmp_not_equal(read->entries, crl.entries)) return "it has another number of entries";
  return std::nullopt;
}

}  // namespace

std::string CrlJob::subject_of(const backends::CrlShard& shard) {
  return shard.issuer.str() + " " + shard.url;
}

std::vector<CrlJob::Target> CrlJob::targets() {
  std::vector<Target> every;
  for (backends::Backend* backend : context_.backends.all()) {
    if (backend->crls == nullptr) continue;
    const backends::IssuersSnapshot issuers = backend->certificates->issuers();
    for (const backends::CrlShard& shard : issuers->shards) {
      const backends::Issuer* issuer = issuers->find(shard.issuer);
      ACME_CHECK(issuer != nullptr);
      every.push_back({.signer = backend->crls, .shard = shard, .issuer = *issuer});
    }
  }
  return every;
}

CrlJob::Made CrlJob::make(const Target& target) {
  const ServerRules rules = context_.policy.get()->server;
  const backends::CrlShard& shard = target.shard;
  crypto::CrlBuilder builder;
  Made made;
  store::CrlRecord& crl = made.record;
  crl.issuer = shard.issuer;
  crl.url = shard.url;
  crl.file = shard.file;
  // Number and rows come from one view of the database: a CRL with a higher number never knows
  // less.
  context_.store.read([&](store::Tx& tx) {
    crl.this_update = tx.now();
    crl.next_update = tx.now() + rules.crl_lifetime;
    crl.number = tx.crls().next_number(shard.issuer, shard.url, tx.now());
    crl.entries = 0;
    builder = crypto::CrlBuilder();
    Instant expired_since = tx.now() - std::max(rules.crl_lifetime, rules.crl_interval);
    if (const auto before = tx.crls().in_force(shard.issuer, shard.url)) {
      builder.expect(static_cast<std::size_t>(before->entries));
      // Whoever was down for weeks still shows what has ended since.
      expired_since = std::min(expired_since, before->this_update);
    } else {
      expired_since = Instant();
    }
    tx.certificates().revoked(shard.issuer, shard.url, expired_since,
                              [&](const store::Certificates::Revoked& revoked) {
                                // A clock that was ahead may have told the time: what is on a CRL
                                // is revoked by then.
                                builder.add({.serial = revoked.serial,
                                             .revoked_at = std::min(revoked.at, crl.this_update),
                                             .reason = revoked.reason});
                                ++crl.entries;
                              });
  });
  if (paused()) {  // since the job began
    throw std::runtime_error("the clock is in doubt, so no CRL is signed for " + shard.url);
  }
  made.der = target.signer->sign_crl(shard, crl.number, crl.this_update, crl.next_update,
                                     std::move(builder));
  if (const auto problem = why_unfit(crl, made.der, target.issuer.certificate)) {
    throw std::runtime_error("the CRL made for " + shard.url + " is not published: " + *problem);
  }
  crl.sha256 = crypto::sha256_hex(made.der);
  crl.parts = store::Crls::parts_of(made.der.size());
  return made;
}

// All but the last, which goes with the record: a CRL of one part is one transaction.
void CrlJob::store_parts(const Made& made) {
  for (std::int64_t position = 0; position + 1 < made.record.parts; ++position) {
    context_.store.write(
        [&](store::Tx& tx) { tx.crls().put_part(made.record, position, made.der); });
  }
}

void CrlJob::publish(const Target& target, const std::function<void(store::Tx&)>& also) {
  const Made made = make(target);
  const store::CrlRecord& crl = made.record;
  store_parts(made);
  crash_point("crl.made");
  context_.store.write([&](store::Tx& tx) {
    tx.crls().put_part(crl, crl.parts - 1, made.der);
    if (!tx.crls().put(crl)) {
      throw std::runtime_error("a CRL with number " + std::to_string(crl.number) +
                               " or higher is in force for " + crl.url + " already");
    }
    tx.crls().sweep(crl.issuer, crl.url, kSweptAtOnce);
    tx.audit().append({.kind = "crl.published",
                       .actor = ServerPrincipal{},
                       .directory = std::nullopt,
                       .account = std::nullopt,
                       .order = std::nullopt,
                       .authorization = std::nullopt,
                       .certificate = std::nullopt,
                       .details = {{"issuer", crl.issuer.str()},
                                   {"url", crl.url},
                                   {"number", crl.number},
                                   {"entries", crl.entries},
                                   {"sha256", crl.sha256}}});
    also(tx);
    crash_point("crl.putting");
  });
  crash_point("crl.put");
  files_.forget(crl.file);
  context_.log.info("crl.published",
                    {{"url", crl.url}, {"number", crl.number}, {"entries", crl.entries}});
  while (crl.parts > kSweptAtOnce && context_.store.write([&](store::Tx& tx) {
    return tx.crls().sweep(crl.issuer, crl.url, kSweptAtOnce);
  }) == kSweptAtOnce) {
  }
}

bool CrlJob::paused() {
  return !context_.stops.clock_is_trusted();
}

void CrlJob::run(JobRun& run) {
  const auto every = targets();
  const auto target = std::ranges::find_if(every, [&](const Target& candidate) {
    return subject_of(candidate.shard) == run.job().subject;
  });
  if (target == every.end()) {
    context_.log.warning("crl.no_such_shard", {{"subject", run.job().subject}});
    context_.store.write([&](store::Tx& tx) { run.finish(tx); });
    return;
  }
  const seconds interval = context_.policy.get()->server.crl_interval;
  publish(*target, [&](store::Tx& tx) { run.postpone(tx, tx.job_now() + interval, ""); });
}

void CrlJob::enqueue_all() {
  const auto every = targets();
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < every.size(); ++i) {
    ids.push_back(random_row_id(context_.entropy, context_.job_clock.now()));
  }
  const seconds interval = context_.policy.get()->server.crl_interval;
  context_.store.write([&](store::Tx& tx) {
    for (std::size_t i = 0; i < every.size(); ++i) {
      const backends::CrlShard& shard = every[i].shard;
      const auto in_force = tx.crls().in_force(shard.issuer, shard.url);
      // Due when the one in force reaches its age. At once without one, when clocks have jumped,
      // and when something was revoked since, while the backend was not in the config.
      seconds wait{0};
      const auto revoked = tx.certificates().last_revoked(shard.issuer, shard.url);
      const bool complete = in_force && (!revoked || *revoked < in_force->this_update);
      if (complete && in_force->this_update <= tx.now()) {
        wait = std::max(wait, in_force->this_update + interval - tx.now());
      }
      tx.jobs().enqueue(ids[i], store::JobKind::publish_crl, subject_of(shard),
                        tx.job_now() + wait);
    }
    tx.after_commit(context_.wake);
  });
}

void CrlJob::make_missing() {
  for (const Target& target : targets()) {
    const bool missing = context_.store.read([&](store::Tx& tx) {
      const auto crl = tx.crls().in_force(target.shard.issuer, target.shard.url);
      return !crl || crl->next_update <= tx.now();
    });
    if (!missing) continue;
    if (paused()) {
      context_.log.error(
          "crl.withheld",
          {{"url", target.shard.url},
           {"why", "the clock is in doubt, and the CRL is missing or past its end"},
           {"next", "set the clock, then gatehouse resume-issuance --accept-clock"}});
      continue;
    }
    publish(target, [](store::Tx&) {});
  }
}

}  // namespace gatehouse::service
