#include "acme-server/core/order.h"

#include <algorithm>
#include <span>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/ids.h"

namespace gatehouse {
namespace {

// Never true of nothing: no authorization at all would make an order ready.
bool are_exactly(std::span<const AuthorizationId> ids,
                 std::span<const Authorization> authorizations) {
  return !ids.empty() && std::ranges::is_permutation(ids, authorizations, {}, {},
                                                     [](const Authorization& a) { return a.id; });
}

}  // namespace

OrderStatus status_of(const Order& order, std::span<const Authorization> authorizations,
                      Instant now) {
  if (order.certificate) {
    return OrderStatus::valid;
  }
  if (order.error) {
    return OrderStatus::invalid;
  }
  if (order.finalization) {
    return OrderStatus::processing;
  }
  if (order.expires <= now) {
    return OrderStatus::invalid;
  }
  ACME_CHECK(are_exactly(order.authorizations, authorizations));
  if (std::ranges::any_of(authorizations,
                          [&](const Authorization& a) { return is_lost(a, now); })) {
    return OrderStatus::invalid;
  }
  return std::ranges::all_of(authorizations,
                             [&](const Authorization& a) { return is_valid(a, now); })
             ? OrderStatus::ready
             : OrderStatus::pending;
}

}  // namespace gatehouse
