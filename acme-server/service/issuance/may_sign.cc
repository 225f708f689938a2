#include "acme-server/service/issuance/may_sign.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/context.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/issuance_job.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/validation/caa_checks.h"
#include "acme-server/service/validation/challenge_types.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"
#include "ca-backends/issuers.h"

namespace gatehouse::service {
namespace {

// An intent from the future was made while the clock was wrong. This much difference is nobody's
// fault.
constexpr std::chrono::seconds kClockSlack{60};

SigningRefusal unauthorized(SigningRule rule, std::string detail) {
  return {
      .rule = rule,
      .problem = {.type = ProblemType::unauthorized, .detail = std::move(detail), .status = 403}};
}

// Of an order of an account's.
std::optional<SigningRefusal> why_unauthorized(store::Tx& tx, const Context& context,
                                               const Order& order, const Profile& profile,
                                               const std::vector<Authorization>& authorizations) {
  if (!tx.accounts().is_valid(order.directory, *order.account)) {
    return unauthorized(SigningRule::account,
                        "The account was deactivated before the certificate was issued.");
  }
  ACME_CHECK(!authorizations.empty() && authorizations.size() == order.authorizations.size());
  for (const Authorization& authorization : authorizations) {
    if (!is_valid(authorization, tx.now())) {
      return unauthorized(SigningRule::authorization,
                          "The authorization for " + authorization.identifier.value +
                              " ceased to be valid before the certificate was issued.");
    }
    if (auto why = why_unproven(authorization, profile, context.validators)) {
      return unauthorized(SigningRule::proof, std::move(*why));
    }
  }
  return std::nullopt;
}

std::optional<std::string> why_stale(const Context& context, const Order& order,
                                     const store::Issuance& issuance, const Profile& profile,
                                     const Directory& directory, Instant now) {
  if (issuance.created > now + kClockSlack || now - issuance.created > IssuanceJob::kIntentAge) {
    return "it is too old, or the clock was set";
  }
  if (issuance.profile_hash != hash_of(profile) || issuance.backend != profile.backend) {
    return "the profile has changed";
  }
  if (issuance.key_policy_hash != crypto::hash_of(directory.certificate_keys)) {
    return "the key policy has changed";
  }
  const backends::Backend* backend = context.backends.find(issuance.backend);
  if (backend == nullptr) return "its backend is not configured any more";
  // While nobody knows who signs, nothing speaks against the intent: what comes back is checked.
  const backends::IssuersSnapshot issuers = backend->certificates->issuers();
  const backends::ExpectedIssuer allowed = intent_of(issuance, order, &profile).expected.issuer;
  if (issuers->in_use() != nullptr && !backends::is_allowed(issuers->in_use()->id, allowed)) {
    return "its issuer is not the one in use";
  }
  return std::nullopt;
}

}  // namespace

SigningVerdict may_sign(store::Tx& tx, Context& context, const Policy& policy, const Order& order,
                        const store::Issuance* issuance, Instant now) {
  SigningVerdict verdict{.stopped = context.stops.why_stopped(tx),
                         .backend_stopped = std::nullopt,
                         .refusal = std::nullopt,
                         .caa_due = {},
                         .stale = std::nullopt};
  const Directory& directory = policy.directory(order.directory);
  const Profile* profile = directory.profile(order.profile);
  if (profile == nullptr) {
    verdict.refusal =
        unauthorized(SigningRule::profile, "The order's profile " + order.profile +
                                               " does not exist any more; make a new order.");
    return verdict;
  }
  verdict.backend_stopped = why_backend_stopped(
      tx, context, issuance == nullptr ? profile->backend : issuance->backend, order.id);
  if (order.account) {
    const std::vector<Authorization> authorizations = tx.authorizations().of_order(order.id);
    verdict.refusal = why_unauthorized(tx, context, order, *profile, authorizations);
    verdict.caa_due = caa_checks_due(authorizations, *profile, now);
  }
  if (issuance == nullptr) {
    return verdict;
  }
  if (!verdict.refusal) {
    if (std::optional<Problem> problem = why_key_unusable(tx, issuance->spki_sha256)) {
      verdict.refusal = SigningRefusal{.rule = SigningRule::key, .problem = std::move(*problem)};
    }
  }
  verdict.stale = why_stale(context, order, *issuance, *profile, directory, now);
  return verdict;
}

}  // namespace gatehouse::service
