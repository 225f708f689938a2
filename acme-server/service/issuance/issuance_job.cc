#include "acme-server/service/issuance/issuance_job.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/intent_claim.h"
#include "acme-server/service/issuance/issuance_checks.h"
#include "acme-server/service/issuance_stops.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"

namespace gatehouse::service {
namespace {

// A pending answer is asked about again after what the CA says, within these.
constexpr std::chrono::seconds kShortestPoll{1};
constexpr std::chrono::seconds kLongestPoll{3600};

// A request that was not sent is sent again after half the time that the order has waited by then,
// within these: the pauses double, without a count that would make a later failure a doubt.
constexpr std::chrono::seconds kShortestUnsentPause{2};
constexpr std::chrono::seconds kLongestUnsentPause{300};

// One submitted intent and who must answer for it, for the length of a run.
struct Inquiry {
  Context& context;
  JobRun& run;
  const Policy& policy;
  const IssuanceJob::Counters& counters;
  crypto::ChainChecker& chains;
  const ClaimedIntent& claimed;
  const backends::Backend& backend;
  const backends::Intent intent;  // of `claimed`

  const Order& order() const { return claimed.order; }

  const store::Issuance& issuance() const { return claimed.issuance; }
};

// The issuance row names who resumes it, whatever the config says now.
const backends::Backend& backend_of(Context& context, const ClaimedIntent& claimed) {
  const backends::Backend* backend = context.backends.find(claimed.issuance.backend);
  if (backend == nullptr) {
    throw std::runtime_error("order " + claimed.order.id.str() + " was submitted to backend " +
                             claimed.issuance.backend +
                             ", which is not configured any more; put it back until it is done");
  }
  return *backend;
}

// Asks the backend. A throw means "not now", up to a limit: then a CA that records by itself is in
// doubt; one that is repeatable is asked until what it would sign has expired.
backends::IssueOutcome ask(const Inquiry& inquiry) {
  backends::CertificateBackend& backend = *inquiry.backend.certificates;
  const backends::Intent& intent = inquiry.intent;
  const Deadline deadline = Deadline::in(inquiry.policy.server.issuance_timeout);
  try {
    return inquiry.claimed.first ? backend.submit(intent, deadline)
                                 : backend.resume(intent, deadline);
  } catch (const std::exception& failure) {
    if (backend.repeatable()) {
      if (inquiry.context.clock.now() > latest_end_of(intent.expected)) {
        return backends::Refused{{.type = ProblemType::serverInternal,
                                  .detail = "The CA could not sign the certificate in time."}};
      }
      throw;
    }
    if (inquiry.run.job().attempts + 1 >= IssuanceJob::kFailuresBeforeDoubt) {
      return backends::InDoubt{"Ask the CA what became of this request; the last error was: " +
                               std::string(failure.what())};
    }
    throw;
  }
}

// `from` is where the claimed intent is: submitted, or in doubt when an operator has had it asked
// about again.
void move_on(store::Tx& tx, const Inquiry& inquiry, store::IssuanceState to) {
  const store::IssuanceState from = inquiry.issuance().state;
  if (from != to) {
    ACME_CHECK(tx.issuances().move(inquiry.issuance().id, from, to));
  }
}

// Who finalized the order: an address, or "" of one that the server made for itself.
std::string client_of(const Order& order) {
  return order.finalization ? order.finalization->client : "";
}

std::string account_of(const Order& order) {
  return order.account ? order.account->str() : "";
}

Counter certificates_of(Metrics& metrics, const std::string& profile, const std::string& backend) {
  return metrics.counter("gatehouse_certificates_total",
                         "Certificates issued, by profile and backend.",
                         {{"profile", profile}, {"backend", backend}});
}

store::AuditEvent event_of_intent(std::string_view kind, const Inquiry& inquiry) {
  store::AuditEvent event = event_of(kind, inquiry.order(), ServerPrincipal{});
  event.details["issuance"] = inquiry.issuance().id.str();
  event.details["backend"] = inquiry.issuance().backend;
  event.details["serial"] = inquiry.issuance().serial;
  return event;
}

// Each of the transactions below ends the run first: a worker that lost its lease is out before it
// touches anything.

// Nobody but an operator can go on: an alarm, and the job waits for their word. The certificate, if
// there is one, is not recorded and nobody sees it.
void park(const Inquiry& inquiry, std::string_view event, const std::string& why) {
  const bool doubt = !inquiry.backend.certificates->repeatable();
  inquiry.context.store.write([&](store::Tx& tx) {
    inquiry.run.park(tx, why);
    if (doubt) {
      move_on(tx, inquiry, store::IssuanceState::in_doubt);
    }
    store::AuditEvent audit = event_of_intent(event, inquiry);
    audit.details["why"] = why;
    tx.audit().append(audit);
  });
  inquiry.context.log.error(event, {{"order", inquiry.order().id},
                                    {"backend", inquiry.issuance().backend},
                                    {"serial", inquiry.issuance().serial},
                                    {"why", why},
                                    {"next", "the job is parked until an operator resumes it"}});
}

// What came back, checked, as it will be kept.
CertificateRecord record_of(const Inquiry& inquiry, const backends::Issued& issued,
                            const CheckedCertificate& checked) {
  const crypto::Certificate& leaf = checked.leaf;
  const Order& order = inquiry.order();
  const store::Issuance& issuance = inquiry.issuance();
  return {.id = CertificateId(random_row_id(inquiry.context.entropy, inquiry.context.clock.now())),
          .directory = order.directory,
          .account = order.account,
          .order = order.id,
          .issuance = issuance.id,
          .backend = issuance.backend,
          .issuer = checked.issuer,
          .serial = leaf.serial,
          .spki_sha256 = issuance.spki_sha256,
          .identifiers = order.identifiers,
          .not_before = leaf.not_before,
          .not_after = leaf.not_after,
          .crl_url = leaf.crl_urls.empty() ? "" : leaf.crl_urls.front(),
          .chain_pem = issued.chain_pem,
          .alternate_chains_pem = issued.alternate_chains_pem,
          .issued_at = {},
          .revocation = {}};
}

store::AuditEvent issued_event(const Inquiry& inquiry, const CertificateRecord& record,
                               const crypto::Certificate& leaf) {
  store::AuditEvent event = event_of_intent("certificate.issued", inquiry);
  event.certificate = record.id;
  event.details["serial"] = record.serial;
  event.details["issuer"] = record.issuer.str();
  event.details["der_sha256"] = crypto::sha256_hex(leaf.der);
  event.details["not_before"] = to_rfc3339(record.not_before);
  event.details["not_after"] = to_rfc3339(record.not_after);
  event.details["identifiers"] = json_of(record.identifiers);
  event.details["profile"] = inquiry.issuance().profile;
  event.details["client"] = client_of(inquiry.order());
  return event;
}

void record(const Inquiry& inquiry, const backends::Issued& issued,
            const CheckedCertificate& checked) {
  CertificateRecord certificate = record_of(inquiry, issued, checked);
  crash_point("certificate.checked");
  write_outcome(inquiry.context.store, inquiry.run, [&](store::Tx& tx) {
    inquiry.run.finish(tx);
    certificate.issued_at = tx.now();
    tx.certificates().insert(certificate);
    move_on(tx, inquiry, store::IssuanceState::issued);
    ACME_CHECK(tx.orders().complete(inquiry.order().id, certificate.id));
    tx.audit().append(issued_event(inquiry, certificate, checked.leaf));
    store::AuditEvent valid = event_of("order.valid", inquiry.order(), ServerPrincipal{});
    valid.certificate = certificate.id;
    tx.audit().append(valid);
    crash_point("certificate.recording");
  });
  crash_point("certificate.recorded");
  inquiry.counters.issued.add();
  certificates_of(inquiry.context.metrics, inquiry.issuance().profile, certificate.backend).add();
  inquiry.context.log.info("certificate.issued",
                           {{"certificate", certificate.id},
                            {"order", inquiry.order().id},
                            {"account", account_of(inquiry.order())},
                            {"names", names_of(certificate.identifiers)},
                            {"profile", inquiry.issuance().profile},
                            {"backend", certificate.backend},
                            {"client", client_of(inquiry.order())},
                            {"serial", certificate.serial},
                            {"not_after", to_rfc3339(certificate.not_after)}});
}

void conclude(const Inquiry& inquiry, const backends::Issued& issued) {
  const std::vector<backends::IssuersSnapshot> known =
      inquiry.context.backends.known_issuers(inquiry.backend.name);
  std::vector<const backends::Issuer*> issuers;
  for (const backends::IssuersSnapshot& snapshot : known) {
    for (const backends::Issuer& issuer : snapshot->all) issuers.push_back(&issuer);
  }
  const auto checked = check_issued(issued, inquiry.intent.expected, issuers,
                                    inquiry.issuance().created, inquiry.chains);
  if (!checked) {
    inquiry.counters.wrong.add();
    park(inquiry, "certificate.wrong",
         "The certificate is not what was asked for: " + checked.error() + ".");
    return;
  }
  record(inquiry, issued, *checked);
}

void conclude(const Inquiry& inquiry, const backends::Pending& pending) {
  const std::chrono::seconds wait =
      std::clamp(pending.ask_again_after, kShortestPoll, kLongestPoll);
  inquiry.context.store.write([&](store::Tx& tx) {
    inquiry.run.postpone(tx, tx.job_now() + wait, "the CA has not decided yet");
    move_on(tx, inquiry, store::IssuanceState::submitted);
    ACME_CHECK(tx.issuances().set_poll(inquiry.issuance().id, pending.poll));
  });
  inquiry.context.log.info("certificate.pending",
                           {{"order", inquiry.order().id}, {"ask_again_after", wait.count()}});
}

void conclude(const Inquiry& inquiry, const backends::Refused& refused) {
  inquiry.context.store.write([&](store::Tx& tx) {
    inquiry.run.finish(tx);
    move_on(tx, inquiry, store::IssuanceState::refused);
    ACME_CHECK(tx.orders().fail(inquiry.order().id, refused.problem));
    store::AuditEvent event = event_of_intent("certificate.refused", inquiry);
    event.details["problem"] = to_json(refused.problem);
    tx.audit().append(event);
    tx.audit().append(order_failed_event(inquiry.order(), refused.problem));
  });
  inquiry.counters.refused.add();
  inquiry.context.log.warning("order.invalid", {{"order", inquiry.order().id},
                                                {"account", account_of(inquiry.order())},
                                                {"names", names_of(inquiry.order().identifiers)},
                                                {"profile", inquiry.issuance().profile},
                                                {"client", client_of(inquiry.order())},
                                                {"backend", inquiry.issuance().backend},
                                                {"detail", refused.problem.detail}});
}

std::chrono::seconds pause_of(const Inquiry& inquiry, const backends::NotSent& not_sent) {
  if (not_sent.retry_after) {
    return std::clamp(*not_sent.retry_after, kShortestPoll, kLongestPoll);
  }
  const Instant since = inquiry.order().finalization.value().at;
  return std::clamp((inquiry.context.clock.now() - since) / 2, kShortestUnsentPause,
                    kLongestUnsentPause);
}

// After submit() the intent goes back to where it was, so that the next run looks at it again and
// submits it. What resume() was told says nothing about an earlier submit(), whose answer may have
// been lost: the intent stays where it is.
void conclude(const Inquiry& inquiry, const backends::NotSent& not_sent) {
  const std::chrono::seconds pause = pause_of(inquiry, not_sent);
  inquiry.context.store.write([&](store::Tx& tx) {
    inquiry.run.postpone(tx, tx.job_now() + pause, "the CA was not reached: " + not_sent.why);
    if (!inquiry.claimed.first) return;
    move_on(tx, inquiry, store::IssuanceState::prepared);
    store::AuditEvent event = event_of_intent("certificate.not_sent", inquiry);
    event.details["why"] = not_sent.why;
    tx.audit().append(event);
  });
  inquiry.counters.not_sent.add();
  inquiry.context.log.warning("certificate.not_sent", {{"order", inquiry.order().id},
                                                       {"backend", inquiry.issuance().backend},
                                                       {"why", not_sent.why},
                                                       {"again_after", pause.count()}});
}

void conclude(const Inquiry& inquiry, const backends::InDoubt& doubt) {
  ACME_CHECK(!inquiry.backend.certificates->repeatable());  // its key signs only what it is handed
  inquiry.counters.in_doubt.add();
  park(inquiry, "certificate.in_doubt", doubt.what_to_check);
}

}  // namespace

IssuanceJob::IssuanceJob(Context& context) : context_(context) {
  const auto counter = [&](const char* result) {
    return context_.metrics.counter("gatehouse_issuances_total",
                                    "Submitted intents by what became of them.",
                                    {{"result", result}});
  };
  for (const auto& [name, directory] : context_.policy.get()->directories) {
    for (const auto& [profile, rules] : directory.profiles) {
      certificates_of(context_.metrics, profile, rules.backend);  // from 0 on
    }
  }
  counters_ = {.issued = counter("issued"),
               .refused = counter("refused"),
               .not_sent = counter("not_sent"),
               .in_doubt = counter("in_doubt"),
               .wrong = counter("wrong")};
}

bool IssuanceJob::paused() {
  return !context_.stops.may_issue();
}

void IssuanceJob::run(JobRun& run) {
  const std::shared_ptr<const Policy> policy = context_.policy.get();
  std::optional<ClaimedIntent> claimed;
  // A run that waited for longer than a lease lasts (a full lane, a machine that slept) may find
  // that another one has asked the backend. claim_intent() tells: it needs the lease.
  const bool late = context_.job_clock.now() - run.job().claimed >= JobRunner::kLease;
  if (const auto* begun_with = run.loaded<ClaimedIntent>(); begun_with != nullptr && !late) {
    claimed = *begun_with;
  } else {
    claimed = claim_intent(context_, run, *policy);
  }
  if (!claimed) {
    return;
  }
  crash_point("intent.marked");
  const Inquiry inquiry{
      .context = context_,
      .run = run,
      .policy = *policy,
      .counters = counters_,
      .chains = *context_.chains,
      .claimed = *claimed,
      .backend = backend_of(context_, *claimed),
      .intent = intent_of(
          claimed->issuance, claimed->order,
          policy->directory(claimed->order.directory).profile(claimed->issuance.profile))};
  std::visit([&](const auto& outcome) { conclude(inquiry, outcome); }, ask(inquiry));
}

}  // namespace gatehouse::service
