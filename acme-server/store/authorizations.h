// Authorizations and their challenges in the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/authorization.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

class Authorizations {
 public:
  explicit Authorizations(sql::Connection& connection) : connection_(connection) {}

  void insert(const Authorization& authorization);

  std::optional<Authorization> of(const AccountId& account, const AuthorizationId& id);
  std::optional<Authorization> of_challenge(const AccountId& account, const ChallengeId& id);
  // For jobs only.
  std::optional<Authorization> get(const AuthorizationId& id);
  std::optional<Authorization> with_challenge(const ChallengeId& id);

  // Exactly the order's, in the order's order.
  std::vector<Authorization> of_order(const OrderId& order);
  // The order that it was made for: the first that relied on it.
  std::optional<OrderId> first_order_of(const AuthorizationId& id);

  // A valid one of the account for this identifier that stays so until `until`, made under
  // `profile`: for reuse. A wildcard identifier needs one made for the wildcard, here and below.
  std::optional<Authorization> reusable(const AccountId& account, const Identifier& identifier,
                                        const std::string& profile, Instant until);
  // Whether the account holds a valid one for `identifier` at `now` (RFC 8555 section 7.6).
  bool has_valid(const AccountId& account, const Identifier& identifier, Instant now);

  // How many challenges of the account are processing in authorizations that are pending at `now`:
  // for its limit.
  std::int64_t count_processing(const AccountId& account, Instant now);

  // How many authorizations of the account are pending at `now`: for its limit.
  std::int64_t count_pending(const AccountId& account, Instant now);

  // Compare-and-set: writes what differs between the two, if the row and its challenges still are
  // as `before`. False when they are not. Marks the orders that have lost it.
  bool update(const Authorization& before, const Authorization& after);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
