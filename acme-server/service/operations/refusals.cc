#include "acme-server/service/operations/refusals.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <string_view>

#include "acme-server/core/authorization.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/refusals.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

constexpr std::string_view kEvent = "request.refused";

// The order that the request was about. An id that a client made up, or took from another account,
// is none.
std::optional<Order> order_of(store::Tx& tx, const RefusedRequest& refused) {
  if (refused.order) return tx.orders().of(refused.account, *refused.order);
  std::optional<Authorization> authorization;
  if (refused.authorization) {
    authorization = tx.authorizations().of(refused.account, *refused.authorization);
  } else if (refused.challenge) {
    authorization = tx.authorizations().with_challenge(*refused.challenge);
  }
  if (!authorization || authorization->account != refused.account) return std::nullopt;
  const auto newest = tx.orders().newest_with(authorization->id);
  return newest ? tx.orders().of(refused.account, *newest) : std::nullopt;
}

bool is_told(store::Tx& tx, const OrderId& order, ProblemType type) {
  return std::ranges::any_of(tx.audit().of_order(order), [&](const store::AuditRow& row) {
    return row.event.kind == kEvent && row.event.details.contains("problem") &&
           row.event.details["problem"].value("type", "") == urn_of(type);
  });
}

store::AuditEvent refused_event(const Order& order, const RefusedRequest& refused) {
  store::AuditEvent event = event_of(kEvent, order, refused.account);
  event.details["problem"] = to_json(refused.problem);
  event.details["route"] = refused.route;
  event.details["client"] = refused.client;
  return event;
}

}  // namespace

void Refusals::note(const RefusedRequest& refused) {
  if (!context_.stops.may_begin()) return;
  try {
    context_.store.write_soon([&](store::Tx& tx) {
      const std::optional<Order> order = order_of(tx, refused);
      const bool first =
          tx.refusals().note({.account = refused.account,
                              .order = order ? std::optional(order->id) : std::nullopt,
                              .type = refused.problem.type,
                              .status = status_of(refused.problem),
                              .detail = refused.problem.detail,
                              .route = refused.route,
                              .client = refused.client,
                              .first = tx.now(),
                              .last = tx.now()});
      // A row may have given way to others since the event was written.
      if (order && first && !is_told(tx, order->id, refused.problem.type)) {
        tx.audit().append(refused_event(*order, refused));
      }
    });
  } catch (const std::exception& failure) {
    context_.log.warning("refusal.not_kept",
                         {{"account", refused.account}, {"error", failure.what()}});
  }
}

}  // namespace gatehouse::service
