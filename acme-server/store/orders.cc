#include "acme-server/store/orders.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

Order order_of(sql::Connection& connection, const sql::Row& row) {
  Order order;
  order.id = OrderId(row.text(0));
  order.directory = DirectoryId(row.text(1));
  order.account = optional_id_at<AccountId>(row, 2);
  order.profile = row.text(3);
  order.not_before = optional_instant_at(row, 4);
  order.not_after = optional_instant_at(row, 5);
  order.created = instant_at(row, 6);
  order.expires = instant_at(row, 7);
  if (!row.is_null(9)) {
    order.finalization = Finalization{.csr = row.text(8),
                                      .at = instant_at(row, 9),
                                      .client = row.is_null(12) ? "" : row.text(12)};
  }
  order.certificate = optional_id_at<CertificateId>(row, 10);
  order.error = optional_problem_at(row, 11);
  for (const sql::Row& identifier : connection.query(
           "SELECT type, value FROM order_identifiers WHERE order_id = $1 ORDER BY position",
           params(order.id))) {
    order.identifiers.push_back(identifier_at(identifier, 0));
  }
  for (const sql::Row& tie :
       connection.query("SELECT authorization_id FROM order_authorizations WHERE order_id = $1 "
                        "ORDER BY position",
                        params(order.id))) {
    order.authorizations.emplace_back(tie.text(0));
  }
  return order;
}

// As the column has it: null where it is not known.
std::optional<std::string> client_of(const std::optional<Finalization>& finalization) {
  return finalization && !finalization->client.empty() ? std::optional(finalization->client)
                                                       : std::nullopt;
}

std::optional<Order> first_order(sql::Connection& connection, const std::vector<sql::Row>& rows) {
  return rows.empty() ? std::nullopt : std::optional(order_of(connection, rows.front()));
}

std::vector<OrderId> ids_of(const std::vector<sql::Row>& rows) {
  std::vector<OrderId> ids;
  ids.reserve(rows.size());
  for (const sql::Row& row : rows) {
    ids.emplace_back(row.text(0));
  }
  return ids;
}

// An order that is pending, ready or processing at $1: status_of() of core/order.h, line by line,
// as a condition on a row of orders. THE definition for all that lists or counts open orders.
// `lost` says nothing that the authorizations do not say: it keeps orders that failed long ago out
// of the index that is looked at for each new order.
constexpr const char* kIsOpen =
    "certificate_id IS NULL AND error IS NULL AND lost = 0 "
    "AND (finalized_at IS NOT NULL OR (expires_at > $1 AND NOT EXISTS ("
    "SELECT 1 FROM order_authorizations AS tie "
    "JOIN authorizations AS held ON held.id = tie.authorization_id "
    "WHERE tie.order_id = orders.id "
    "AND (held.status NOT IN ('pending', 'valid') OR held.expires_at <= $1))))";

}  // namespace

void Orders::insert(const Order& order) {
  const std::optional<Finalization>& finalization = order.finalization;
  connection_.execute(
      "INSERT INTO orders (id, directory, account_id, profile, not_before, not_after, created_at, "
      "expires_at, csr, finalized_at, certificate_id, error, finalized_from) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
      params(order.id, order.directory, order.account, order.profile, order.not_before,
             order.not_after, order.created, order.expires,
             finalization ? std::optional(finalization->csr) : std::nullopt,
             finalization ? std::optional(finalization->at) : std::nullopt, order.certificate,
             problem_text(order.error), client_of(finalization)));
  std::int64_t position = 0;
  for (const Identifier& identifier : order.identifiers) {
    connection_.execute(
        "INSERT INTO order_identifiers (order_id, position, type, value) VALUES ($1, $2, $3, $4)",
        params(order.id, position++, to_string(identifier.type), identifier.value));
  }
  position = 0;
  for (const AuthorizationId& authorization : order.authorizations) {
    connection_.execute(
        "INSERT INTO order_authorizations (order_id, position, authorization_id) "
        "VALUES ($1, $2, $3)",
        params(order.id, position++, authorization));
  }
}

std::optional<Order> Orders::of(const AccountId& account, const OrderId& id) {
  return first_order(connection_,
                     connection_.query("SELECT id, directory, account_id, profile, not_before, "
                                       "not_after, created_at, expires_at, csr, finalized_at, "
                                       "certificate_id, error, finalized_from "
                                       "FROM orders WHERE id = $1 AND account_id = $2",
                                       params(id, account)));
}

std::optional<Order> Orders::get(const OrderId& id) {
  return first_order(connection_,
                     connection_.query("SELECT id, directory, account_id, profile, not_before, "
                                       "not_after, created_at, expires_at, csr, finalized_at, "
                                       "certificate_id, error, finalized_from "
                                       "FROM orders WHERE id = $1",
                                       params(id)));
}

bool Orders::finalize(const AccountId& account, const OrderId& id,
                      const Finalization& finalization) {
  return connection_.execute(
             "UPDATE orders SET csr = $1, finalized_at = $2, finalized_from = $6 "
             "WHERE id = $3 AND account_id = $4 "
             "AND finalized_at IS NULL AND certificate_id IS NULL AND error IS NULL "
             "AND expires_at > $5",
             params(finalization.csr, finalization.at, id, account, finalization.at,
                    client_of(finalization))) == 1;
}

bool Orders::complete(const OrderId& id, const CertificateId& certificate) {
  return connection_.execute(
             "UPDATE orders SET certificate_id = $1 WHERE id = $2 "
             "AND finalized_at IS NOT NULL AND certificate_id IS NULL AND error IS NULL",
             params(certificate, id)) == 1;
}

bool Orders::fail(const OrderId& id, const Problem& problem) {
  return connection_.execute(
             "UPDATE orders SET error = $1 WHERE id = $2 "
             "AND certificate_id IS NULL AND error IS NULL",
             params(*problem_text(problem), id)) == 1;
}

std::vector<OrderId> Orders::list(const AccountId& account, const std::optional<OrderId>& after,
                                  std::size_t limit, Instant now) {
  std::int64_t behind_time = std::numeric_limits<std::int64_t>::min();
  OrderId behind;
  if (after) {
    const std::vector<sql::Row> place = connection_.query(
        "SELECT created_at FROM orders WHERE id = $1 AND account_id = $2", params(*after, account));
    if (place.empty()) {
      return {};
    }
    behind_time = place.front().integer(0);
    behind = *after;
  }
  static const std::string kSql = std::string(
                                      "SELECT id FROM orders WHERE account_id = $2 "
                                      "AND (created_at, id) > ($3, $4) "
                                      "AND (certificate_id IS NOT NULL OR (") +
                                  kIsOpen + ")) ORDER BY created_at, id LIMIT $5";
  return ids_of(connection_.query(kSql, params(now, account, behind_time, behind, limit)));
}

std::vector<OrderId> Orders::newest(const AccountId& account, const std::optional<OrderId>& after,
                                    std::size_t limit) {
  std::int64_t before_time = std::numeric_limits<std::int64_t>::max();
  OrderId before;
  if (after) {
    const std::vector<sql::Row> place = connection_.query(
        "SELECT created_at FROM orders WHERE id = $1 AND account_id = $2", params(*after, account));
    if (place.empty()) {
      return {};
    }
    before_time = place.front().integer(0);
    before = *after;
  }
  return ids_of(connection_.query(
      "SELECT id FROM orders WHERE account_id = $1 AND (created_at, id) < ($2, $3) "
      "ORDER BY created_at DESC, id DESC LIMIT $4",
      params(account, before_time, before, limit)));
}

std::optional<OrderId> Orders::newest_with(const AuthorizationId& authorization) {
  const std::vector<OrderId> ids = ids_of(connection_.query(
      "SELECT orders.id FROM order_authorizations JOIN orders ON orders.id = order_id "
      "WHERE authorization_id = $1 ORDER BY created_at DESC, orders.id DESC LIMIT 1",
      params(authorization)));
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

std::vector<OrderId> Orders::without_outcome(const AccountId& account) {
  return ids_of(connection_.query(
      "SELECT id FROM orders WHERE account_id = $1 AND certificate_id IS NULL AND error IS NULL "
      "AND lost = 0 ORDER BY created_at, id",
      params(account)));
}

std::vector<OrderId> Orders::processing() {
  return ids_of(connection_.query(
      "SELECT id FROM orders WHERE finalized_at IS NOT NULL AND certificate_id IS NULL "
      "AND error IS NULL ORDER BY finalized_at, id",
      {}));
}

std::int64_t Orders::count_open(const AccountId& account, Instant now) {
  static const std::string kSql =
      std::string("SELECT COUNT(*) FROM orders WHERE account_id = $2 AND ") + kIsOpen;
  return connection_.query(kSql, params(now, account)).front().integer(0);
}

}  // namespace gatehouse::store
