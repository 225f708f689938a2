#include "acme-server/service/orders/challenges.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/service/accounts/account_checks.h"
#include "acme-server/service/events.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/eager_job.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/validation/validation_job.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

// Before its first try has ended there is no plan: most tries take less than this.
constexpr std::chrono::seconds kFirstTry{1};

// Tries are planned by the job clock, which differs from the protocol's in a test CA.
Authorization begun_at(Authorization authorization, const ChallengeId& id, Instant job_now) {
  const auto challenge = std::ranges::find(authorization.challenges, id, &Challenge::id);
  ACME_CHECK(challenge != authorization.challenges.end() &&
             challenge->status == ChallengeStatus::processing);
  challenge->next_attempt = job_now;
  return authorization;
}

ChallengeView challenge_view(const Authorization& authorization, const ChallengeId& id,
                             Instant job_now) {
  const Challenge* challenge = find_challenge(authorization, id);
  ACME_CHECK(challenge != nullptr);
  return {.challenge = *challenge,
          .authorization = authorization.id,
          .retry_after = retry_after_of(*challenge, job_now)};
}

// Refuses what cannot begin now. The caller has seen that the challenge is pending.
void check_may_begin(store::Tx& tx, const Account& account, const Authorization& authorization,
                     const Directory& directory) {
  check_is_valid(tx, account);
  const AuthorizationStatus status = status_of(authorization, tx.now());
  if (status != AuthorizationStatus::pending) {
    reject(ProblemType::malformed, "The authorization for " + authorization.identifier.value +
                                       " is " + std::string(to_string(status)) +
                                       "; make a new order.");
  }
  const std::int64_t running = tx.authorizations().count_processing(account.id, tx.now());
  if (std::cmp_greater_equal(running, directory.max_validations_running)) {
    reject({.type = ProblemType::rateLimited,
            .detail = "This account has " + std::to_string(running) +
                      " validations running; try again when some have ended.",
            .retry_after = directory.validation_gap});
  }
}

}  // namespace

std::optional<std::chrono::seconds> retry_after_of(const Challenge& challenge, Instant job_now) {
  if (challenge.status != ChallengeStatus::processing) {
    return std::nullopt;
  }
  if (!challenge.next_attempt) {
    return kFirstTry;
  }
  // RFC 8555 section 8.2: a time after the server expects to have tried again.
  return std::max(std::chrono::seconds(0), *challenge.next_attempt - job_now) + kFirstTry;
}

std::optional<ChallengeView> Challenges::get(const Account& account, const ChallengeId& id) {
  return context_.store.read([&](store::Tx& tx) -> std::optional<ChallengeView> {
    const std::optional<Authorization> authorization =
        tx.authorizations().of_challenge(account.id, id);
    if (!authorization) {
      return std::nullopt;
    }
    return challenge_view(*authorization, id, tx.job_now());
  });
}

std::optional<ChallengeView> Challenges::respond(const Account& account, const ChallengeId& id,
                                                 Ticket* ticket) {
  const std::shared_ptr<const Policy> policy = context_.policy.get();
  const Directory& directory = policy->directory(account.directory);
  const EagerJob start(context_, store::JobKind::validate_challenge, id.str(), account.id,
                       validation_lease(directory));
  Ticket taken;
  if (ticket != nullptr) {
    taken = start.take_ticket(policy->server.answer_wait.challenge);
  }
  bool begun = false;
  std::optional<OrderId> awaited_for;
  std::optional<ChallengeView> view =
      context_.store.write([&](store::Tx& tx) -> std::optional<ChallengeView> {
        begun = false;
        awaited_for.reset();
        const std::optional<Authorization> before =
            tx.authorizations().of_challenge(account.id, id);
        if (!before) {
          return std::nullopt;
        }
        const Challenge* challenge = find_challenge(*before, id);
        ACME_CHECK(challenge != nullptr);
        // RFC 8555 section 7.5.1: what is final, or proven by another challenge, is shown and never
        // done again.
        if (challenge->status != ChallengeStatus::pending ||
            status_of(*before, tx.now()) == AuthorizationStatus::valid) {
          return challenge_view(*before, id, tx.job_now());
        }
        context_.stops.check_can_begin();
        check_may_begin(tx, account, *before, directory);
        const Authorization after =
            begun_at(begin_validation(*before, id, tx.now()), id, tx.job_now());
        ACME_CHECK(tx.authorizations().update(*before, after));
        const bool runs_at_once =
            start.enqueue(tx, ValidationTask{.authorization = after,
                                             .challenge = *find_challenge(after, id),
                                             .account = account});
        if (taken && runs_at_once) awaited_for = tx.authorizations().first_order_of(after.id);
        store::AuditEvent event = event_of("authorization.challenge_ready", after, account.id);
        event.details["challenge"] = id.str();
        event.details["type"] = challenge->type;
        tx.audit().append(event);
        begun = true;
        return challenge_view(after, id, tx.job_now());
      });
  if (begun) {
    crash_point("challenge.processing");
    context_.log.info("challenge.processing", {{"challenge", id},
                                               {"type", view->challenge.type},
                                               {"authorization", view->authorization},
                                               {"account", account.id}});
  }
  if (awaited_for) {
    taken.charge_to(*awaited_for, policy->server.answer_wait.per_order());
    *ticket = std::move(taken);
  }
  return view;
}

}  // namespace gatehouse::service
