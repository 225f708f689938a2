// Orders::finalize: from a ready order and a CSR to a stored intent (RFC 8555 section 7.4).
#include <any>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/service/accounts/account_checks.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/csr_checks.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/intent_claim.h"
#include "acme-server/service/issuance/may_sign.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/eager_job.h"
#include "acme-server/service/orders/order_view.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/validation/challenge_types.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "validators/validator.h"

namespace gatehouse::service {
namespace {

struct Loaded {
  Order order;
  std::vector<Authorization> authorizations;
  OrderStatus status = OrderStatus::pending;
};

std::optional<Loaded> load(store::Tx& tx, const AccountId& account, const OrderId& id) {
  std::optional<Order> order = tx.orders().of(account, id);
  if (!order) {
    return std::nullopt;
  }
  std::vector<Authorization> authorizations = tx.authorizations().of_order(id);
  const OrderStatus status = status_of(*order, authorizations, tx.now());
  return Loaded{
      .order = std::move(*order), .authorizations = std::move(authorizations), .status = status};
}

// RFC 8555 section 7.4: "A request to finalize an order will result in error if the order is not in
// the "ready" state. In such cases, the server MUST return a 403 (Forbidden) error with a problem
// document of type "orderNotReady"."
void check_ready(const Loaded& loaded) {
  if (loaded.status != OrderStatus::ready) {
    reject({.type = ProblemType::orderNotReady,
            .detail = "The order " + loaded.order.id.str() + " is " +
                      std::string(to_string(loaded.status)) + ", not ready.",
            .status = 403});
  }
}

const Profile& profile_of(const Order& order, const Directory& directory) {
  const Profile* profile = directory.profile(order.profile);
  if (profile == nullptr) {
    reject(ProblemType::malformed,
           "The order's profile " + order.profile + " does not exist any more; make a new order.");
  }
  return *profile;
}

void check_proofs(const Loaded& loaded, const Profile& profile,
                  const validators::ValidatorSet& validators) {
  for (const Authorization& authorization : loaded.authorizations) {
    if (const std::optional<std::string> why = why_unproven(authorization, profile, validators)) {
      reject({.type = ProblemType::unauthorized, .detail = *why, .status = 403});
    }
  }
}

// What was read before the transaction holds no more: the request ends as if it had come now.
[[noreturn]] void reject_refused(store::Tx& tx, const Account& account, const OrderId& id,
                                 const SigningRefusal& refusal) {
  switch (refusal.rule) {
    case SigningRule::account:
      reject_not_valid(account.id);
    case SigningRule::authorization:
      check_ready(load(tx, account.id, id).value());
      break;
    case SigningRule::profile:
    case SigningRule::proof:
    case SigningRule::key:
      break;
  }
  reject(refusal.problem);
}

}  // namespace

std::optional<OrderView> Orders::finalize(const Account& account, const OrderId& id,
                                          ByteView csr_der, Ticket* ticket,
                                          const std::string& client) {
  const std::optional<Loaded> before =
      context_.store.read([&](store::Tx& tx) { return load(tx, account.id, id); });
  if (!before) {
    return std::nullopt;
  }
  check_ready(*before);
  context_.stops.check_can_begin();
  const crypto::Csr csr = check_csr(csr_der, before->order);
  const std::shared_ptr<const Policy> policy = context_.policy.get();
  const Directory& directory = policy->directory(before->order.directory);
  const Profile& profile = profile_of(before->order, directory);
  check_proofs(*before, profile, context_.validators);
  const store::Issuance issuance =
      prepare_issuance(context_, before->order, profile, csr_der, csr.spki);
  const Instant now = context_.clock.now();
  const std::string csr_text = base64url_encode(csr_der);
  const EagerJob start(context_, store::JobKind::issue_certificate, id.str(), account.id,
                       issuance_lease(policy->server, directory));
  Ticket taken;
  if (ticket != nullptr) taken = start.take_ticket(policy->server.answer_wait.finalize);
  bool runs_at_once = false;

  OrderView view = context_.store.write([&](store::Tx& tx) {
    Order order = before->order;
    order.finalization = Finalization{.csr = csr_text, .at = tx.now(), .client = client};
    // In this transaction, so that nothing can be withdrawn, and no account take the key, between
    // the look and the write.
    const SigningVerdict verdict = may_sign(tx, context_, *policy, order, &issuance, now);
    if (verdict.refusal) {
      reject_refused(tx, account, id, *verdict.refusal);
    }
    // One compare-and-set owns ready -> processing, whatever was read before it.
    if (!tx.orders().finalize(account.id, id, *order.finalization)) {
      check_ready(load(tx, account.id, id).value());
      reject({.type = ProblemType::orderNotReady,
              .detail = "The order " + id.str() + " is being finalized by another request.",
              .status = 403});
    }
    store::Issuance stored = issuance;
    store::AuditEvent finalized = event_of("order.finalized", order, account.id);
    finalized.details["client"] = client;
    tx.audit().append(finalized);
    tx.audit().append(intent_event(order, stored, account.id));
    std::any loaded;
    // Marked here only where the run begins with the COMMIT and what it signs is fixed. A policy
    // that has come meanwhile is held against the intent by its run.
    if (start.at_once() && verdict.permitted() && context_.policy.get() == policy &&
        context_.backends.find(stored.backend)->certificates->repeatable()) {
      stored.state = store::IssuanceState::submitted;
      tx.audit().append(submitted_event(order, stored));
      loaded = ClaimedIntent{.order = order, .issuance = stored, .first = true};
    }
    tx.issuances().insert(stored);
    runs_at_once = start.enqueue(tx, std::move(loaded));
    crash_point("intent.storing");
    return view_of(std::move(order), before->authorizations, tx.now());
  });
  crash_point("intent.stored");
  context_.log.info("order.processing", {{"order", id},
                                         {"account", account.id},
                                         {"profile", view.order.profile},
                                         {"names", names_of(view.order.identifiers)},
                                         {"serial", issuance.serial},
                                         {"client", client}});
  if (view.retry_after) {
    view.retry_after = context_.stops.retry_after(*view.retry_after);
  }
  if (taken && runs_at_once) {
    taken.charge_to(id, policy->server.answer_wait.per_order());
    *ticket = std::move(taken);
  }
  return view;
}

}  // namespace gatehouse::service
