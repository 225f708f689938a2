#include "acme-server/service/issuance/intent_claim.h"

#include <algorithm>
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
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/log.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/csr_checks.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/may_sign.h"
#include "acme-server/service/jobs/job.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/validation/caa_checks.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

// What a lease must outlast the backend's call, or the questions about CAA, by, to check and write
// its result.
constexpr std::chrono::seconds kLeaseMargin{30};

// How often a run asks about CAA or replaces the intent before the order is left to a later run.
constexpr int kRounds = 4;

// An order whose CAA records nobody can tell is tried so often, then it fails: with the runner's
// backoff, after half a minute and the waiting for resolvers.
constexpr int kCaaTries = 5;

struct Ended {
  std::optional<Problem> problem;  // that the order has just failed with
};

struct NeedsIntent {
  Order order;
};

struct NeedsCaa {
  Order order;
  std::vector<Authorization> due;
};

using Step = std::variant<Ended, NeedsCaa, NeedsIntent, ClaimedIntent>;

void abandon(store::Tx& tx, const Order& order, const store::Issuance& issuance,
             std::string_view why) {
  ACME_CHECK(tx.issuances().move(issuance.id, store::IssuanceState::prepared,
                                 store::IssuanceState::abandoned));
  store::AuditEvent event = event_of("certificate.abandoned", order, ServerPrincipal{});
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

// A stop is no failure: the job is due when issuance goes on.
Ended postpone(store::Tx& tx, JobRun& run, const std::string& why) {
  run.postpone(tx, tx.job_now(), "issuance is stopped: " + why);
  return {};
}

// Nothing wakes the job when the backend goes on: it looks again.
Ended wait_for_backend(store::Tx& tx, JobRun& run, const std::string& why) {
  run.postpone(tx, tx.job_now() + kBackendStopPause, why);
  return {};
}

// The first transaction: what to do with the order's intent. `now` is the clock's, see may_sign().
Step decide(store::Tx& tx, Context& context, JobRun& run, const Policy& policy, Instant now) {
  std::optional<Order> order = tx.orders().get(OrderId(run.job().subject));
  if (!order || order->certificate || order->error) {
    run.finish(tx);
    return Ended{};
  }
  ACME_CHECK(order->finalization.has_value());
  std::optional<store::Issuance> issuance = tx.issuances().current(order->id);
  if (issuance && issuance->state != store::IssuanceState::prepared) {
    if (const auto why = context.stops.why_stopped(tx)) {
      return postpone(tx, run, *why);
    }
    if (const auto why = why_backend_stopped(tx, context, issuance->backend, order->id)) {
      return wait_for_backend(tx, run, *why);
    }
    run.renew(tx, issuance_lease(policy.server, policy.directory(order->directory)));
    return ClaimedIntent{
        .order = std::move(*order), .issuance = std::move(*issuance), .first = false};
  }
  SigningVerdict verdict =
      may_sign(tx, context, policy, *order, issuance ? &*issuance : nullptr, now);
  if (verdict.stopped) {
    return postpone(tx, run, *verdict.stopped);
  }
  if (verdict.backend_stopped && !verdict.refusal) {
    return wait_for_backend(tx, run, *verdict.backend_stopped);
  }
  run.renew(tx, issuance_lease(policy.server, policy.directory(order->directory)));
  if (verdict.refusal) {
    return fail(tx, run, *order, issuance, verdict.refusal->problem);
  }
  if (!verdict.caa_due.empty()) {
    return NeedsCaa{.order = std::move(*order), .due = std::move(verdict.caa_due)};
  }
  if (!issuance) {
    return NeedsIntent{std::move(*order)};
  }
  if (verdict.stale) {
    abandon(tx, *order, *issuance, *verdict.stale);
    return NeedsIntent{std::move(*order)};
  }
  ACME_CHECK(tx.issuances().move(issuance->id, store::IssuanceState::prepared,
                                 store::IssuanceState::submitted));
  issuance->state = store::IssuanceState::submitted;
  tx.audit().append(submitted_event(*order, *issuance));
  crash_point("intent.marking");
  return ClaimedIntent{.order = std::move(*order), .issuance = std::move(*issuance), .first = true};
}

// What remains of the checks with a problem once those that forbid have failed the order.
bool is_unknown(const CaaCheck& check) {
  return check.result.problem.has_value();
}

// Asks about each name, with no transaction open.
std::vector<CaaCheck> check_again(Context& context, const NeedsCaa& needed,
                                  const Directory& directory, Deadline deadline) {
  std::vector<CaaCheck> checks;
  for (const Authorization& authorization : needed.due) {
    const auto proof =
        std::ranges::find(authorization.challenges, ChallengeStatus::valid, &Challenge::status);
    ACME_CHECK(proof != authorization.challenges.end());
    checks.push_back(check_caa(context, directory, authorization, proof->type, deadline));
  }
  return checks;
}

// The order, and the job's lease renewed. Nothing when it failed with its account meanwhile, which
// finishes the job.
std::optional<Order> order_to_go_on_with(store::Tx& tx, JobRun& run, const Policy& policy,
                                         const OrderId& id) {
  std::optional<Order> order = tx.orders().get(id);
  ACME_CHECK(order.has_value());
  run.renew(tx, issuance_lease(policy.server, policy.directory(order->directory)));
  if (!order->error) return order;
  run.finish(tx);
  return std::nullopt;
}

// Stores what the checks came to, or fails the order. When the run's time is `over`, what nobody
// could tell by then is left to the next run.
std::optional<Ended> store_checks(store::Tx& tx, JobRun& run, const Policy& policy,
                                  const OrderId& id, const std::vector<CaaCheck>& checks,
                                  bool over) {
  const std::optional<Order> order = order_to_go_on_with(tx, run, policy, id);
  if (!order) return Ended{};
  for (const CaaCheck& check : checks) {
    store::AuditEvent event = caa_event(check, "issuance");
    event.order = id;
    tx.audit().append(event);
    if (check.result.problem) continue;
    const std::optional<Authorization> before = tx.authorizations().get(check.authorization.id);
    ACME_CHECK(before.has_value());
    Authorization after = *before;
    after.caa_checked = check.at;
    ACME_CHECK(tx.authorizations().update(*before, after));
  }
  const bool give_up = !over && run.job().attempts + 1 >= kCaaTries;
  if (const std::optional<Problem> problem = caa_problem(checks, give_up)) {
    const std::optional<store::Issuance> issuance = tx.issuances().current(id);
    return fail(tx, run, *order, issuance, *problem);
  }
  const auto unknown = std::ranges::find_if(checks, is_unknown);
  if (over && unknown != checks.end()) {
    run.cut_short(tx);
    return Ended{};
  }
  return std::nullopt;
}

// What the runner is to try again later: throws.
void check_is_known(const OrderId& order, const std::vector<CaaCheck>& checks) {
  const auto unknown = std::ranges::find_if(checks, is_unknown);
  if (unknown != checks.end()) {
    throw std::runtime_error("order " + order.str() + ": " + unknown->result.problem->detail);
  }
}

// A new intent for the CSR that the order was finalized with, by the rules of today. A refusal is
// the order's outcome here, and not the end of a request: the one place where it is caught on its
// way.
Expected<store::Issuance, Problem> prepare_again(Context& context, const Order& order,
                                                 const Policy& policy) {
  const std::optional<Bytes> der = base64url_decode(order.finalization->csr);
  const Profile* profile = policy.directory(order.directory).profile(order.profile);
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
  const std::optional<Order> order = order_to_go_on_with(tx, run, policy, id);
  if (!order) return Ended{};
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
  tx.audit().append(intent_event(*order, *prepared, ServerPrincipal{}));
  return std::nullopt;
}

void log_end(Log& log, const JobRun& run, const Ended& ended) {
  if (ended.problem) {
    log.info("order.invalid", {{"order", run.job().subject}, {"detail", ended.problem->detail}});
  }
}

}  // namespace

std::chrono::seconds issuance_lease(const ServerRules& server, const Directory& directory) {
  return std::max(server.issuance_timeout, directory.validation_timeout) + kLeaseMargin;
}

store::AuditEvent submitted_event(const Order& order, const store::Issuance& issuance) {
  store::AuditEvent event = event_of("certificate.submitted", order, ServerPrincipal{});
  event.details["issuance"] = issuance.id.str();
  event.details["serial"] = issuance.serial;
  return event;
}

std::optional<ClaimedIntent> claim_intent(Context& context, JobRun& run, const Policy& policy) {
  for (int round = 0; round < kRounds; ++round) {
    const Instant now = context.clock.now();
    Step step =
        context.store.write([&](store::Tx& tx) { return decide(tx, context, run, policy, now); });
    if (auto* claimed = std::get_if<ClaimedIntent>(&step)) {
      return std::move(*claimed);
    }
    if (const auto* ended = std::get_if<Ended>(&step)) {
      log_end(context.log, run, *ended);
      return std::nullopt;
    }
    if (const auto* needed = std::get_if<NeedsCaa>(&step)) {
      const OrderId& id = needed->order.id;
      const Directory& directory = policy.directory(needed->order.directory);
      const Deadline deadline = run.deadline(directory.validation_timeout);
      const std::vector<CaaCheck> checks = check_again(context, *needed, directory, deadline);
      const bool over = run.is_over(deadline);
      const std::optional<Ended> ended = context.store.write(
          [&](store::Tx& tx) { return store_checks(tx, run, policy, id, checks, over); });
      if (ended) {
        log_end(context.log, run, *ended);
        return std::nullopt;
      }
      check_is_known(id, checks);
      continue;
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
