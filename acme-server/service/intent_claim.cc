#include "acme-server/service/intent_claim.h"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/log.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/service/challenge_types.h"
#include "acme-server/service/context.h"
#include "acme-server/service/csr_checks.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance.h"
#include "acme-server/service/issuance_job.h"
#include "acme-server/service/job.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

// What a lease must outlast the backend's call by, to check and write its result.
constexpr std::chrono::seconds kLeaseMargin{30};

// An intent from the future was made while the clock was wrong. This much difference is nobody's
// fault.
constexpr std::chrono::seconds kClockSlack{60};

// How often an intent is replaced within one run before it is left to a later one.
constexpr int kRounds = 3;

struct Ended {
  std::optional<Problem> problem;  // that the order has just failed with
};

struct NeedsIntent {
  Order order;
};

using Step = std::variant<Ended, NeedsIntent, ClaimedIntent>;

Problem unauthorized(std::string detail) {
  return {.type = ProblemType::unauthorized, .detail = std::move(detail), .status = 403};
}

// Why the order can have no certificate any more, whatever its intent says; nothing when it can.
std::optional<Problem> why_order_fails(store::Tx& tx, Context& context, const Order& order,
                                       const Profile* profile) {
  if (profile == nullptr) {
    return unauthorized("The order's profile " + order.profile +
                        " does not exist any more; make a new order.");
  }
  if (!order.account) {
    return std::nullopt;  // origin "server": no account, no authorizations
  }
  const std::optional<Account> account = tx.accounts().get(*order.account);
  if (!account || account->status != AccountStatus::valid) {
    return unauthorized("The account was deactivated before the certificate was issued.");
  }
  const std::vector<Authorization> authorizations = tx.authorizations().of_order(order.id);
  ACME_CHECK(!authorizations.empty() && authorizations.size() == order.authorizations.size());
  for (const Authorization& authorization : authorizations) {
    if (!is_valid(authorization, tx.now())) {
      return unauthorized("The authorization for " + authorization.identifier.value +
                          " ceased to be valid before the certificate was issued.");
    }
    if (const auto why = why_unproven(authorization, *profile, context.validators)) {
      return unauthorized(*why);
    }
  }
  return std::nullopt;
}

// Why the intent is not what would be prepared today; nothing when it is.
std::optional<std::string> why_stale(Context& context, const store::Issuance& issuance,
                                     const Profile& profile, const Policy& policy, Instant now) {
  if (issuance.created > now + kClockSlack || now - issuance.created > IssuanceJob::kIntentAge) {
    return "it is too old, or the clock was set";
  }
  if (issuance.profile_hash != hash_of(profile) || issuance.backend != profile.backend) {
    return "the profile has changed";
  }
  if (issuance.key_policy_hash != crypto::hash_of(policy.certificate_keys)) {
    return "the key policy has changed";
  }
  const backends::Backend* backend = context.backends.find(issuance.backend);
  if (backend == nullptr || backend->certificates->issuers().front().id != issuance.issuer) {
    return "its issuer is not the one in use";
  }
  return std::nullopt;
}

void abandon(store::Tx& tx, const Order& order, const store::Issuance& issuance,
             std::string_view why) {
  ACME_CHECK(tx.issuances().move(issuance.id, store::IssuanceState::prepared,
                                 store::IssuanceState::abandoned));
  store::AuditEvent event = event_of("certificate.abandoned", order, Actor::server);
  event.details["issuance"] = issuance.id.str();
  event.details["serial"] = issuance.serial;
  event.details["why"] = why;
  tx.audit().append(event);
}

// The order has failed; nothing was signed for it, and nothing will be.
Ended fail(store::Tx& tx, JobRun& run, const Order& order,
           const std::optional<store::Issuance>& prepared, const Problem& problem) {
  if (prepared) {
    abandon(tx, order, *prepared, "the order has failed");
  }
  ACME_CHECK(tx.orders().fail(order.id, problem));
  tx.audit().append(order_failed_event(order, problem));
  run.finish(tx);
  return {.problem = problem};
}

std::chrono::seconds lease_of(const Policy& policy) {
  return policy.issuance_timeout + kLeaseMargin;
}

// The first transaction: what to do with the order's intent. `now` is the clock's, read before it:
// Tx::now() would keep a clock that was ahead for a while in the future, and every intent stale.
Step decide(store::Tx& tx, Context& context, JobRun& run, const Policy& policy, Instant now) {
  std::optional<Order> order = tx.orders().get(OrderId(run.job().subject));
  if (!order || order->certificate || order->error) {
    run.finish(tx);
    return Ended{};
  }
  ACME_CHECK(order->finalization.has_value());
  run.renew(tx, lease_of(policy));
  std::optional<store::Issuance> issuance = tx.issuances().current(order->id);
  if (issuance && issuance->state != store::IssuanceState::prepared) {
    return ClaimedIntent{
        .order = std::move(*order), .issuance = std::move(*issuance), .first = false};
  }
  const Profile* profile = policy.profile(order->profile);
  std::optional<Problem> problem = why_order_fails(tx, context, *order, profile);
  if (!problem && issuance) {
    problem = why_key_unusable(tx, issuance->spki_sha256);
  }
  if (problem) {
    return fail(tx, run, *order, issuance, *problem);
  }
  if (!issuance) {
    return NeedsIntent{std::move(*order)};
  }
  if (const auto why = why_stale(context, *issuance, *profile, policy, now)) {
    abandon(tx, *order, *issuance, *why);
    return NeedsIntent{std::move(*order)};
  }
  ACME_CHECK(tx.issuances().move(issuance->id, store::IssuanceState::prepared,
                                 store::IssuanceState::submitted));
  issuance->state = store::IssuanceState::submitted;
  store::AuditEvent event = event_of("certificate.submitted", *order, Actor::server);
  event.details["issuance"] = issuance->id.str();
  event.details["serial"] = issuance->serial;
  tx.audit().append(event);
  crash_point("intent.marking");
  return ClaimedIntent{.order = std::move(*order), .issuance = std::move(*issuance), .first = true};
}

// A new intent for the CSR that the order was finalized with, by the rules of today. A refusal is
// the order's outcome here, and not the end of a request: the one place where it is caught on its
// way.
Expected<store::Issuance, Problem> prepare_again(Context& context, const Order& order,
                                                 const Policy& policy) {
  const std::optional<Bytes> der = base64url_decode(order.finalization->csr);
  const Profile* profile = policy.profile(order.profile);
  ACME_CHECK(der.has_value() && profile != nullptr);
  try {
    const crypto::Csr csr = check_csr(*der, order);
    return prepare_issuance(context, order, *profile, *der, csr.spki);
  } catch (const RequestRejected& rejected) {
    return Unexpected{rejected.problem()};
  }
}

// The second transaction: stores the new intent, or fails the order.
std::optional<Ended> store_intent(store::Tx& tx, JobRun& run, const Policy& policy,
                                  const OrderId& id,
                                  const Expected<store::Issuance, Problem>& prepared) {
  run.renew(tx, lease_of(policy));
  const std::optional<Order> order = tx.orders().get(id);
  ACME_CHECK(order.has_value());
  if (order->error) {  // with its account, meanwhile
    run.finish(tx);
    return Ended{};
  }
  std::optional<Problem> problem;
  if (!prepared) {
    problem = prepared.error();
  } else {
    problem = why_key_unusable(tx, prepared->spki_sha256);
  }
  if (problem) {
    return fail(tx, run, *order, std::nullopt, *problem);
  }
  tx.issuances().insert(*prepared);
  tx.audit().append(intent_event(*order, *prepared, Actor::server));
  return std::nullopt;
}

void log_end(Log& log, const JobRun& run, const Ended& ended) {
  if (ended.problem) {
    log.info("order.invalid", {{"order", run.job().subject}, {"detail", ended.problem->detail}});
  }
}

}  // namespace

std::optional<ClaimedIntent> claim_intent(Context& context, JobRun& run, const Policy& policy) {
  for (int round = 0; round < kRounds; ++round) {
    const Instant now = context.clock.now();
    Step step =
        context.store.write([&](store::Tx& tx) { return decide(tx, context, run, policy, now); });
    if (auto* claimed = std::get_if<ClaimedIntent>(&step)) {
      crash_point("intent.marked");
      return std::move(*claimed);
    }
    if (const auto* ended = std::get_if<Ended>(&step)) {
      log_end(context.log, run, *ended);
      return std::nullopt;
    }
    const Order& order = std::get<NeedsIntent>(step).order;
    context.log.info("intent.needed", {{"order", order.id}});
    const Expected<store::Issuance, Problem> prepared = prepare_again(context, order, policy);
    const std::optional<Ended> ended = context.store.write(
        [&](store::Tx& tx) { return store_intent(tx, run, policy, order.id, prepared); });
    if (ended) {
      log_end(context.log, run, *ended);
      return std::nullopt;
    }
  }
  throw std::runtime_error(
      "order " + run.job().subject +
      ": every new intent was stale at once; is the clock or the config in motion?");
}

}  // namespace gatehouse::service
