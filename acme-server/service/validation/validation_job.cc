#include "acme-server/service/validation/validation_job.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/log.h"
#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/validation/caa_checks.h"
#include "acme-server/service/validation/challenge_types.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store.h"
#include "validators/validator.h"

namespace gatehouse::service {
namespace {

// What a lease must outlast a try by, to write its result.
constexpr std::chrono::seconds kLeaseMargin{15};

using Task = ValidationTask;

struct Try {
  std::optional<Problem> problem;
  std::vector<std::string> trail;
  bool final = false;                // a failure that no further try could mend
  bool answered = false;             // see validators::ValidationOutcome
  std::optional<CaaCheck> caa = {};  // made once the challenge is proven
  bool cut_short = false;            // its time was over, and the next one has more: does not count
};

// Nothing when there is nothing to do any more: deactivated, expired, proven or failed meanwhile.
std::optional<Task> load(store::Tx& tx, const ChallengeId& id) {
  std::optional<Authorization> authorization = tx.authorizations().with_challenge(id);
  if (!authorization || status_of(*authorization, tx.now()) != AuthorizationStatus::pending) {
    return std::nullopt;
  }
  const Challenge challenge = *find_challenge(*authorization, id);
  if (challenge.status != ChallengeStatus::processing) {
    return std::nullopt;
  }
  std::optional<Account> account = tx.accounts().get(authorization->account);
  ACME_CHECK(account.has_value());
  return Task{.authorization = std::move(*authorization),
              .challenge = challenge,
              .account = std::move(*account)};
}

Try failed_for_good(std::string detail) {
  return {.problem = Problem{.type = ProblemType::unauthorized, .detail = std::move(detail)},
          .trail = {},
          .final = true};
}

Try deactivated() {
  return failed_for_good("The account was deactivated.");
}

// What is proven still needs the permission of CAA records. What forbids it will not be mended by
// the time of another try; what nobody could tell may be.
Try permit(Context& context, const Task& task, const Directory& directory, Try proven,
           Deadline deadline) {
  proven.caa = check_caa(context, directory, task.authorization, task.challenge.type, deadline);
  proven.problem = proven.caa->result.problem;
  proven.final = proven.problem && proven.problem->type == ProblemType::caa;
  return proven;
}

// Asks the validator, if the challenge may still prove anything. No transaction is open.
Try attempt(Context& context, const JobRun& run, const Task& task, const Directory& directory) {
  const Authorization& authorization = task.authorization;
  if (task.account.status != AccountStatus::valid) {
    return deactivated();
  }
  const Profile* profile = directory.profile(authorization.profile);
  validators::Validator* validator = context.validators.find(task.challenge.type);
  const std::vector<std::string> types =
      profile == nullptr ? std::vector<std::string>{}
                         : types_for(authorization.identifier, *profile, context.validators);
  if (validator == nullptr || std::ranges::find(types, task.challenge.type) == types.end()) {
    return failed_for_good("The challenge type " + task.challenge.type +
                           " is not enabled any more; make a new order.");
  }
  // RFC 8555 section 8.1: token || '.' || base64url(Thumbprint(accountKey)).
  const Deadline deadline = run.deadline(directory.validation_timeout);
  validators::ValidationOutcome outcome = validator->validate(
      {.identifier = authorization.identifier.base(),
       .token = task.challenge.token,
       .key_authorization = task.challenge.token + "." + task.account.key_thumbprint,
       .account_url = context.account_url(authorization.directory, authorization.account),
       .addresses = {.allowed = profile->allowed_addresses, .denied = profile->denied_addresses}},
      deadline);
  Try tried{.problem = std::move(outcome.problem),
            .trail = std::move(outcome.trail),
            .final = false,
            .answered = outcome.answered};
  if (!tried.problem && has_caa(authorization.identifier, *profile)) {
    tried = permit(context, task, directory, std::move(tried), deadline);
  }
  tried.cut_short = tried.problem && !tried.final && !tried.answered && run.is_over(deadline);
  return tried;
}

store::AuditEvent event_of_try(const Authorization& after, const Challenge& challenge,
                               const Try& tried) {
  std::string_view kind = "authorization.attempt_failed";
  if (after.status == AuthorizationStatus::valid) {
    kind = "authorization.valid";
  } else if (after.status == AuthorizationStatus::invalid) {
    kind = "authorization.invalid";
  }
  store::AuditEvent event = event_of(kind, after, ServerPrincipal{});
  event.details["challenge"] = challenge.id.str();
  event.details["type"] = challenge.type;
  event.details["attempt"] = challenge.attempts;
  event.details["trail"] = tried.trail;
  if (tried.problem) {
    event.details["problem"] = to_json(*tried.problem);
  }
  return event;
}

// How often, and how far apart, a challenge is tried that failed in this way.
struct Tries {
  int most;
  std::chrono::seconds gap;
};

Tries tries_for(const Try& tried, const Directory& directory) {
  if (!tried.answered) {
    return {.most = directory.validation_attempts, .gap = directory.validation_gap};
  }
  return {.most = std::min(directory.validation_answered_attempts, directory.validation_attempts),
          .gap = directory.validation_answered_gap};
}

// Writes what a try came to and ends the run with it. The challenge as it is then; nothing when the
// try does not count.
std::optional<Challenge> conclude_in(store::Tx& tx, JobRun& run, const Task& task, Try tried,
                                     const Directory& directory) {
  const std::optional<Task> now = load(tx, task.challenge.id);
  if (!now) {
    run.finish(tx);
    return std::nullopt;
  }
  if (tried.cut_short) {
    run.cut_short(tx);
    return std::nullopt;
  }
  if (now->account.status != AccountStatus::valid) {
    tried = deactivated();
  } else if (!tried.problem && now->account.key_thumbprint != task.account.key_thumbprint) {
    // What was proven is control by a key that the account no longer has (RFC 8555 section 7.3.5):
    // ask again.
    run.postpone(tx, tx.job_now(), "the account's key changed during the validation");
    return std::nullopt;
  }
  const Tries tries = tries_for(tried, directory);
  const Instant next = tx.job_now() + tries.gap;
  const bool last = tried.final || now->challenge.attempts + 1 >= tries.most;
  const Profile* profile = directory.profile(now->authorization.profile);
  const Instant valid_until =
      tx.now() + (profile == nullptr ? Profile{} : *profile).valid_authorization_lifetime;
  const Authorization after =
      conclude(now->authorization, task.challenge.id,
               {.problem = tried.problem,
                .last_attempt = last,
                .caa_checked = tried.caa ? std::optional(tried.caa->at) : std::nullopt},
               tx.now(), valid_until, next);
  ACME_CHECK(tx.authorizations().update(now->authorization, after));
  const Challenge challenge = *find_challenge(after, task.challenge.id);
  if (tried.caa) {
    tx.audit().append(caa_event(*tried.caa, "validation"));
  }
  tx.audit().append(event_of_try(after, challenge, tried));
  if (challenge.status == ChallengeStatus::processing) {
    // RFC 8555 section 8.2: "The server SHOULD [...] retry the query after some time": until then
    // no lane is held.
    run.postpone(tx, next, tried.problem->detail);
  } else {
    run.finish(tx);
  }
  return challenge;
}

void log_try(Log& log, const Task& task, const Challenge& challenge) {
  const std::string detail = challenge.error ? sanitize(challenge.error->detail, 200) : "";
  const std::string_view event = challenge.status == ChallengeStatus::valid ? "challenge.valid"
                                 : challenge.status == ChallengeStatus::invalid
                                     ? "challenge.invalid"
                                     : "challenge.retry";
  log.info(event, {{"challenge", challenge.id},
                   {"type", challenge.type},
                   {"authorization", task.authorization.id},
                   {"identifier", task.authorization.identifier.value},
                   {"attempt", challenge.attempts},
                   {"detail", detail}});
}

}  // namespace

std::chrono::seconds validation_lease(const Directory& directory) {
  return directory.validation_timeout + kLeaseMargin;
}

ValidationJob::ValidationJob(Context& context) : context_(context) {
  for (const auto& validator : context.validators.all()) {
    const auto counter = [&](const char* result) {
      return context.metrics.counter(
          "gatehouse_validations_total", "Tries of challenges, by type and result.",
          {{"type", std::string(validator->challenge_type())}, {"result", result}});
    };
    tallies_.emplace(validator->challenge_type(), Tally{.valid = counter("valid"),
                                                        .invalid = counter("invalid"),
                                                        .retried = counter("retried")});
  }
}

// A type that no validator proves any more is counted nowhere.
void ValidationJob::count(const Challenge& challenge) const {
  const auto tally = tallies_.find(challenge.type);
  if (tally == tallies_.end()) return;
  (challenge.status == ChallengeStatus::valid     ? tally->second.valid
   : challenge.status == ChallengeStatus::invalid ? tally->second.invalid
                                                  : tally->second.retried)
      .add();
}

bool ValidationJob::paused() {
  return !context_.stops.may_begin();
}

void ValidationJob::run(JobRun& run) {
  const ChallengeId id(run.job().subject);
  std::optional<Task> task;
  const auto* const begun_with = run.loaded<Task>();
  if (begun_with != nullptr) {
    task = *begun_with;
  } else {
    task = context_.store.read([&](store::Tx& tx) { return load(tx, id); });
    if (!task) {
      context_.store.write([&](store::Tx& tx) { run.finish(tx); });
      return;
    }
  }
  const std::shared_ptr<const Directory> directory =
      context_.policy.directory(task->authorization.directory);
  // A run that began with its task was given this lease.
  if (const auto needed = validation_lease(*directory);
      begun_with == nullptr && needed > JobRunner::kLease) {
    context_.store.write([&](store::Tx& tx) { run.renew(tx, needed); });
  }
  crash_point("validation.begun");
  const Try tried = attempt(context_, run, *task, *directory);
  crash_point("validation.tried");
  const std::optional<Challenge> challenge = write_outcome(context_.store, run, [&](store::Tx& tx) {
    return conclude_in(tx, run, *task, tried, *directory);
  });
  crash_point("validation.concluded");
  if (challenge) {
    count(*challenge);
    log_try(context_.log, *task, *challenge);
  }
}

}  // namespace gatehouse::service
