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
#include "acme-server/base/metrics.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/backends/wrong_certificate.h"
#include "acme-server/service/certificates/known_issuers.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/intent_claim.h"
#include "acme-server/service/issuance/issuance_checks.h"
#include "acme-server/service/issuance/issued_certificate.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
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

std::string account_of(const Order& order) {
  return order.account ? order.account->str() : "";
}

store::AuditEvent event_of_inquiry(std::string_view kind, const Inquiry& inquiry) {
  return event_of_intent(kind, inquiry.order(), inquiry.issuance(), ServerPrincipal{});
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
    store::AuditEvent audit = event_of_inquiry(event, inquiry);
    audit.details["why"] = why;
    tx.audit().append(audit);
  });
  inquiry.context.log.error(event, {{"order", inquiry.order().id},
                                    {"backend", inquiry.issuance().backend},
                                    {"serial", inquiry.issuance().serial},
                                    {"why", why},
                                    {"next", "the job is parked until an operator resumes it"}});
}

// What a CA elsewhere has issued is not what it was asked for: the order fails, and the backend is
// asked for nothing more until an operator has looked. Else one mistake in its config would have it
// issue such certificates for ever. The certificate is in the audit trail, and nobody sees it.
void fail_wrong(const Inquiry& inquiry, const backends::Issued& issued, const std::string& why) {
  const Problem problem{
      .type = ProblemType::serverInternal,
      .detail =
          "The CA behind this server has issued a certificate that is not what the order "
          "asks for, and it is withheld. Ask the operator of this server, who can see it in the "
          "audit trail of this order, and then make a new order."};
  // Before anything is written: should we end meanwhile, the certificate is asked for, and revoked,
  // once more, or in doubt. The CA has as long for it as for the certificate.
  const std::chrono::seconds patience = inquiry.policy.server.issuance_timeout;
  inquiry.context.store.write([&](store::Tx& tx) {
    inquiry.run.renew(tx, issuance_lease(inquiry.policy.server,
                                         inquiry.policy.directory(inquiry.order().directory)));
  });
  const std::string revocation = revoke_wrong_certificate(inquiry.context, inquiry.backend, issued,
                                                          inquiry.intent, Deadline::in(patience));
  inquiry.context.store.write([&](store::Tx& tx) {
    inquiry.run.finish(tx);
    move_on(tx, inquiry, store::IssuanceState::refused);
    ACME_CHECK(tx.orders().fail(inquiry.order().id, problem));
    store::AuditEvent event = event_of_inquiry("certificate.wrong", inquiry);
    event.details["why"] = why;
    event.details["revocation"] = revocation;
    event.details["certificate_pem"] = issued.chain_pem;
    tx.audit().append(event);
    tx.audit().append(order_failed_event(inquiry.order(), problem));
    stop_backend(tx, {.backend = inquiry.backend.name,
                      .since = tx.now(),
                      .order = inquiry.order().id,
                      .why = why});
  });
  inquiry.context.log.error(
      "certificate.wrong",
      {{"order", inquiry.order().id},
       {"backend", inquiry.backend.name},
       {"why", why},
       {"revocation", revocation},
       {"next", "the backend is stopped until: gatehouse backend resume " + inquiry.backend.name}});
}

// A key of ours that signs something else is no CA that errs: the order waits for the operator.
void conclude_wrong(const Inquiry& inquiry, const backends::Issued& issued,
                    const std::string& what) {
  inquiry.counters.wrong.add();
  const std::string why = "The certificate is not what was asked for: " + what + ".";
  if (inquiry.backend.certificates->repeatable()) {
    park(inquiry, "certificate.wrong", why);
  } else {
    fail_wrong(inquiry, issued, why);
  }
}

// False, and nothing is written, when a certificate with this issuer and serial is there already.
bool record(const Inquiry& inquiry, const backends::Issued& issued,
            const CheckedCertificate& checked) {
  Context& context = inquiry.context;
  CertificateRecord certificate =
      record_of(context, inquiry.order(), inquiry.issuance(), issued, checked);
  // A serial of ours is random, and in its intent; a CA elsewhere may hand out what it has issued
  // before.
  const bool chosen_elsewhere = inquiry.issuance().serial.empty();
  crash_point("certificate.checked");
  const bool recorded = write_outcome(context.store, inquiry.run, [&](store::Tx& tx) {
    if (chosen_elsewhere && tx.certificates().by_serial(certificate.issuer, certificate.serial)) {
      return false;
    }
    inquiry.run.finish(tx);
    store_certificate(tx, inquiry.order(), inquiry.issuance(), certificate, checked,
                      ServerPrincipal{});
    if (chosen_elsewhere) resume_backend_after(tx, certificate.backend, inquiry.order().id);
    crash_point("certificate.recording");
    return true;
  });
  if (!recorded) return false;
  crash_point("certificate.recorded");
  inquiry.counters.issued.add();
  tell_issued(context, inquiry.order(), inquiry.issuance(), certificate);
  return true;
}

void conclude(const Inquiry& inquiry, const backends::Issued& issued) {
  const auto checked =
      check_answer(inquiry.context, inquiry.backend, issued, inquiry.intent, inquiry.issuance());
  if (!checked) {
    conclude_wrong(inquiry, issued, checked.error());
  } else if (!record(inquiry, issued, *checked)) {
    conclude_wrong(inquiry, issued,
                   "the CA has given serial " + checked->leaf.serial + " to another order before");
  }
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
    store::AuditEvent event = event_of_inquiry("certificate.refused", inquiry);
    event.details["problem"] = to_json(refused.problem);
    if (!refused.answer.empty()) event.details["answer"] = refused.answer;
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
                                                {"detail", refused.problem.detail},
                                                {"answer", refused.answer}});
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
    store::AuditEvent event = event_of_inquiry("certificate.not_sent", inquiry);
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
      .claimed = *claimed,
      .backend = backend_of(context_, *claimed),
      .intent = intent_of(
          claimed->issuance, claimed->order,
          policy->directory(claimed->order.directory).profile(claimed->issuance.profile))};
  const backends::IssuersSnapshot known = inquiry.backend.certificates->issuers();
  const backends::IssueOutcome outcome = ask(inquiry);
  // Before a certificate of an issuer that the answer has told of is recorded.
  if (inquiry.backend.certificates->issuers() != known) {
    remember_issuers(context_);
  }
  std::visit([&](const auto& each) { conclude(inquiry, each); }, outcome);
}

}  // namespace gatehouse::service
