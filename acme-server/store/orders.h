// Orders in the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/order.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

class Orders {
 public:
  explicit Orders(sql::Connection& connection) : connection_(connection) {}

  // With its identifiers and its links to authorizations, which must be stored already.
  void insert(const Order& order);

  std::optional<Order> of(const AccountId& account, const OrderId& id);
  // For jobs only.
  std::optional<Order> get(const OrderId& id);

  // Each a compare-and-set, false when it came too late: unfinalized, unexpired -> finalized;
  // finalized without an outcome -> certificate; without an outcome -> failed.
  bool finalize(const AccountId& account, const OrderId& id, const Finalization& finalization);
  bool complete(const OrderId& id, const CertificateId& certificate);
  bool fail(const OrderId& id, const Problem& problem);

  // Ids of the account's orders that are not invalid at `now` (RFC 8555 section 7.1.2.1), oldest
  // first, beginning behind `after` (none: from the start), at most `limit`.
  std::vector<OrderId> list(const AccountId& account, const std::optional<OrderId>& after,
                            std::size_t limit, Instant now);

  // For operators: all orders of the account, newest first, starting after `after`.
  std::vector<OrderId> newest(const AccountId& account, const std::optional<OrderId>& after,
                              std::size_t limit);

  // The newest order that relies on `authorization`.
  std::optional<OrderId> newest_with(const AuthorizationId& authorization);

  // Orders of the account that have no outcome and have lost no authorization: for cancelling them
  // with the account.
  std::vector<OrderId> without_outcome(const AccountId& account);
  // How many of the account's orders are pending, ready or processing at `now`. For its limit.
  std::int64_t count_open(const AccountId& account, Instant now);
  // Finalized orders without an outcome, all accounts: each must have a job. At start and in tests.
  std::vector<OrderId> processing();

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
