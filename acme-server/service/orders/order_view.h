// An order as a client sees it at one moment.
#pragma once

#include <span>

#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"
#include "acme-server/service/orders/orders.h"

namespace gatehouse::service {

// `authorizations` are exactly the order's.
OrderView view_of(Order order, std::span<const Authorization> authorizations, Instant now);

}  // namespace gatehouse::service
