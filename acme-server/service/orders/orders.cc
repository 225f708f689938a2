#include "acme-server/service/orders/orders.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/service/accounts/account_checks.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/orders/order_view.h"
#include "acme-server/service/orders/requested_identifiers.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/validation/challenge_types.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"
#include "ca-backends/validity.h"
#include "validators/validator.h"

namespace gatehouse::service {
namespace {

// Issuing by a CA of our own takes milliseconds: the shortest time that Retry-After can say.
constexpr std::chrono::seconds kOrderRetryAfter{1};

// RFC 8555 section 7.1.2.1 leaves the size of a page to us.
constexpr std::size_t kOrdersPage = 100;

// A valid authorization serves a new order if it stays valid this long, which leaves a client time
// to finalize.
constexpr std::chrono::hours kReuseMargin{24};

const Profile& find_profile(const Directory& directory, const std::string& name) {
  const Profile* profile = directory.profile(name);
  if (profile == nullptr) {
    std::vector<std::string> names;
    for (const auto& [known, unused] : directory.profiles) {
      names.push_back(known);
    }
    reject(ProblemType::malformed, "There is no profile \"" + sanitize(name, 64) +
                                       "\"; there are " + join(names, ", ") + ".");
  }
  return *profile;
}

// Before anybody proves a name: what could not be issued is not ordered.
void check_dates(const Orders::NewOrder& request, const Profile& profile,
                 const backends::Backend* backend, Instant now) {
  const backends::RequestedDates dates{
      .not_before = request.not_before, .not_after = request.not_after, .ordered = now};
  const bool asked = request.not_before || request.not_after;
  if (asked && backend != nullptr && !backend->certificates->takes_dates()) {
    reject(ProblemType::malformed,
           "The CA behind this server chooses the dates of its certificates; order without "
           "notBefore and notAfter.");
  }
  const auto issuers = backend == nullptr ? nullptr : backend->certificates->issuers();
  const backends::Issuer* in_use = issuers == nullptr ? nullptr : issuers->in_use();
  if (in_use == nullptr) {
    backends::agreed_validity(profile, dates, now);
  } else {
    backends::leaf_validity(profile, dates, backends::lifetime_of(*in_use), now);
  }
}

void check_terms(const Account& account, const Directory& directory) {
  if (!directory.terms_of_service.empty() && account.terms_agreed != directory.terms_of_service) {
    // RFC 8555 section 7.3.3.
    reject({.type = ProblemType::userActionRequired,
            .detail = "The terms of service have changed; agree to those at " +
                      directory.terms_of_service + ".",
            .instance = directory.terms_of_service});
  }
}

// A pending authorization for each identifier, with ids and tokens; its times are the
// transaction's.
std::vector<Authorization> draft_authorizations(Context& context, const Account& account,
                                                const std::vector<Identifier>& identifiers,
                                                const Profile& profile) {
  const Instant now = context.clock.now();
  std::vector<Authorization> drafts;
  for (const Identifier& identifier : identifiers) {
    Authorization draft{.id = AuthorizationId(random_row_id(context.entropy, now)),
                        .directory = account.directory,
                        .account = account.id,
                        .identifier = identifier,
                        .profile = profile.name,
                        .expires = {},
                        .created = {},
                        .challenges = {}};
    for (const std::string& type : types_for(identifier, profile, context.validators)) {
      draft.challenges.push_back({.id = ChallengeId(random_row_id(context.entropy, now)),
                                  .type = type,
                                  .token = random_token(context.entropy),
                                  .validated = {},
                                  .error = {},
                                  .next_attempt = {}});
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

// One that the account holds already and that will last, when the profile lets it serve again.
std::optional<Authorization> find_reusable(store::Tx& tx, const Authorization& draft,
                                           const Profile& profile,
                                           const validators::ValidatorSet& validators) {
  if (!profile.reuse_authorizations) {
    return std::nullopt;
  }
  std::optional<Authorization> found = tx.authorizations().reusable(
      draft.account, draft.identifier, draft.profile, tx.now() + kReuseMargin);
  if (found && why_unproven(*found, profile, validators)) {
    found.reset();
  }
  return found;
}

store::AuditEvent created_event(const Order& order,
                                const std::vector<Authorization>& authorizations, Instant now,
                                const std::string& client) {
  store::AuditEvent event = event_of("order.created", order, order.account.value());
  event.details["profile"] = order.profile;
  event.details["identifiers"] = json_of(order.identifiers);
  Json list = Json::array();
  for (const Authorization& authorization : authorizations) {
    list.push_back(
        {{"authorization", authorization.id.str()}, {"reused", is_valid(authorization, now)}});
  }
  event.details["authorizations"] = std::move(list);
  event.details["client"] = client;
  return event;
}

void check_open_orders(store::Tx& tx, const Account& account, const Directory& directory) {
  const std::int64_t open = tx.orders().count_open(account.id, tx.now());
  if (std::cmp_greater_equal(open, directory.max_orders_pending)) {
    reject({.type = ProblemType::rateLimited,
            .detail = "This account has " + std::to_string(open) +
                      " unfinished orders; finish some or wait until they expire.",
            .retry_after = std::chrono::hours(1)});
  }
}

// Names that an account orders and never proves cost disk until they expire.
void check_pending_names(store::Tx& tx, const Account& account, std::size_t more,
                         const Directory& directory) {
  const std::size_t most = directory.max_names_pending;
  const std::int64_t pending = tx.authorizations().count_pending(account.id, tx.now());
  if (std::cmp_less_equal(pending + static_cast<std::int64_t>(more), most)) return;
  reject({.type = ProblemType::rateLimited,
          .detail = "This account has " + std::to_string(pending) +
                    " names that wait for their proof, and this order would bring " +
                    std::to_string(more) + " more; at most " + std::to_string(most) +
                    " may wait. Prove or deactivate some, or wait until they expire.",
          .retry_after = std::chrono::hours(1)});
}

// What the order needs: of `drafts`, each is new or gives way to what the account holds already.
std::vector<Authorization> find_authorizations(store::Tx& tx, std::vector<Authorization> drafts,
                                               const Account& account, const Profile& profile,
                                               const Directory& directory,
                                               const validators::ValidatorSet& validators) {
  std::size_t fresh = 0;
  for (Authorization& draft : drafts) {
    if (auto held = find_reusable(tx, draft, profile, validators)) {
      draft = std::move(*held);
    } else {
      draft.created = tx.now();
      draft.expires = tx.now() + profile.pending_authorization_lifetime;
      ++fresh;
    }
  }
  if (fresh > 0) check_pending_names(tx, account, fresh, directory);
  return drafts;
}

// Stores `order`, whose id is fixed, and those of `authorizations` that are new.
OrderView store_order(store::Tx& tx, Order order, const std::vector<Authorization>& authorizations,
                      const Profile& profile, const std::string& client) {
  order.created = tx.now();
  order.expires = tx.now() + profile.order_lifetime;
  for (const Authorization& authorization : authorizations) {
    if (authorization.status == AuthorizationStatus::pending) {
      tx.authorizations().insert(authorization);
    } else {
      order.expires = std::min(order.expires, authorization.expires);
    }
    order.authorizations.push_back(authorization.id);
  }
  tx.orders().insert(order);
  tx.audit().append(created_event(order, authorizations, tx.now(), client));
  return view_of(std::move(order), authorizations, tx.now());
}

}  // namespace

OrderView view_of(Order order, std::span<const Authorization> authorizations, Instant now) {
  const OrderStatus status = status_of(order, authorizations, now);
  OrderView view{.order = std::move(order), .status = status, .retry_after = std::nullopt};
  if (status == OrderStatus::processing) {
    view.retry_after = kOrderRetryAfter;
  }
  return view;
}

OrderView Orders::create(const Account& account, const NewOrder& request) {
  context_.stops.check_can_begin();
  const std::shared_ptr<const Directory> directory = context_.policy.directory(account.directory);
  const Profile& profile = find_profile(*directory, request.profile);
  check_terms(account, *directory);
  const backends::Backend* backend = context_.backends.find(profile.backend);
  const Order order{
      .id = OrderId(random_row_id(context_.entropy, context_.clock.now())),
      .directory = account.directory,
      .account = account.id,
      .profile = profile.name,
      .identifiers = read_identifiers(request.identifiers, profile, context_.validators,
                                      backend == nullptr ? nullptr : backend->certificates.get()),
      .authorizations = {},
      .not_before = request.not_before,
      .not_after = request.not_after,
      .created = {},
      .expires = {},
      .finalization = {},
      .certificate = {},
      .error = {}};
  const std::vector<Authorization> drafts =
      draft_authorizations(context_, account, order.identifiers, profile);

  OrderView view = context_.store.write([&](store::Tx& tx) {
    check_is_valid(tx, account);
    // By the time that the order is stored with, which is what finalize counts from.
    check_dates(request, profile, backend, tx.now());
    check_open_orders(tx, account, *directory);
    return store_order(
        tx, order,
        find_authorizations(tx, drafts, account, profile, *directory, context_.validators), profile,
        request.client);
  });
  crash_point("order.created");
  context_.log.info("order.created", {{"order", view.order.id},
                                      {"account", account.id},
                                      {"profile", profile.name},
                                      {"names", names_of(view.order.identifiers)},
                                      {"client", request.client},
                                      {"status", to_string(view.status)}});
  return view;
}

std::optional<OrderView> Orders::get(const Account& account, const OrderId& id) {
  std::optional<OrderView> view =
      context_.store.read([&](store::Tx& tx) -> std::optional<OrderView> {
        std::optional<Order> order = tx.orders().of(account.id, id);
        if (!order) {
          return std::nullopt;
        }
        // What has been finalized stands without its authorizations (status_of, core/order.h).
        const std::vector<Authorization> authorizations =
            order->finalization ? std::vector<Authorization>() : tx.authorizations().of_order(id);
        return view_of(std::move(*order), authorizations, tx.now());
      });
  if (view && view->retry_after) {
    view->retry_after = context_.stops.retry_after(*view->retry_after);
  }
  return view;
}

Orders::Page Orders::list(const Account& account, const std::optional<OrderId>& after) {
  Page page{.orders = context_.store.read([&](store::Tx& tx) {
              return tx.orders().list(account.id, after, kOrdersPage + 1, tx.now());
            }),
            .next = std::nullopt};
  if (page.orders.size() > kOrdersPage) {
    page.orders.resize(kOrdersPage);
    page.next = page.orders.back();
  }
  return page;
}

std::optional<Authorization> Authorizations::get(const Account& account,
                                                 const AuthorizationId& id) {
  return context_.store.read([&](store::Tx& tx) {
    std::optional<Authorization> authorization = tx.authorizations().of(account.id, id);
    if (authorization) {
      authorization->status = status_of(*authorization, tx.now());
    }
    return authorization;
  });
}

std::optional<Authorization> Authorizations::deactivate(const Account& account,
                                                        const AuthorizationId& id) {
  bool changed = false;
  std::optional<Authorization> result =
      context_.store.write([&](store::Tx& tx) -> std::optional<Authorization> {
        changed = false;
        check_is_valid(tx, account);
        const std::optional<Authorization> before = tx.authorizations().of(account.id, id);
        if (!before || before->status == AuthorizationStatus::deactivated) {
          return before;
        }
        const AuthorizationStatus status = status_of(*before, tx.now());
        if (status != AuthorizationStatus::pending && status != AuthorizationStatus::valid) {
          reject(ProblemType::malformed,
                 "The authorization for " + before->identifier.value + " is " +
                     std::string(to_string(status)) +
                     " already; only a pending or valid one can be deactivated.");
        }
        Authorization after = *before;
        after.status = AuthorizationStatus::deactivated;
        ACME_CHECK(tx.authorizations().update(*before, after));
        tx.audit().append(event_of("authorization.deactivated", after, account.id));
        changed = true;
        return after;
      });
  if (changed) {
    context_.log.info("authorization.deactivated",
                      {{"authorization", id}, {"account", account.id}});
  }
  return result;
}

}  // namespace gatehouse::service
