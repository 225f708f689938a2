#include "acme-server/store/retention.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {

namespace {

// What has failed, whatever its expiry says (core/order.h: status_of()).
constexpr std::string_view kFailedOrder =
    "(created_at < $3 AND (error IS NOT NULL OR (finalized_at IS NULL AND EXISTS ("
    "SELECT 1 FROM order_authorizations AS tie JOIN authorizations AS held "
    "ON held.id = tie.authorization_id WHERE tie.order_id = orders.id "
    "AND held.status NOT IN ('pending', 'valid')))))";
constexpr std::string_view kFailedAuthorization =
    "(created_at < $3 AND status NOT IN ('pending', 'valid'))";

}  // namespace

Retention::Page Retention::page_of(std::string_view sql, std::size_t limit,
                                   std::span<const sql::Value> parameters) {
  Page page;
  const std::vector<sql::Row> rows = connection_.query(sql, parameters);
  for (const sql::Row& row : rows) {
    if (row.integer(1) != 0) {
      page.ids.push_back(row.text(0));
    }
  }
  if (rows.size() == limit) {
    page.next = rows.back().text(0);
  }
  return page;
}

// By primary key: an index on the end dates would cost every issuance, and this walk has time.
Retention::Page Retention::orders(std::string_view after, std::size_t limit, Instant ended,
                                  Instant failed) {
  return page_of("SELECT id, CASE WHEN certificate_id IS NULL AND (expires_at < $2 OR " +
                     std::string(kFailedOrder) +
                     ") THEN 1 ELSE 0 END FROM orders WHERE id > $1 ORDER BY id LIMIT $4",
                 limit, params(after, ended, failed, limit));
}

Retention::Page Retention::authorizations(std::string_view after, std::size_t limit, Instant ended,
                                          Instant failed) {
  return page_of("SELECT id, CASE WHEN expires_at < $2 OR " + std::string(kFailedAuthorization) +
                     " THEN 1 ELSE 0 END FROM authorizations WHERE id > $1 ORDER BY id LIMIT $4",
                 limit, params(after, ended, failed, limit));
}

Retention::Page Retention::certificates(std::string_view after, std::size_t limit, Instant ended) {
  return page_of(
      "SELECT id, CASE WHEN not_after < $2 THEN 1 ELSE 0 END "
      "FROM certificates WHERE id > $1 ORDER BY id LIMIT $3",
      limit, params(after, ended, limit));
}

void Retention::remove_rest_of_order(const OrderId& id) {
  for (const std::string_view sql :
       {"DELETE FROM issuances WHERE order_id = $1",
        "DELETE FROM order_authorizations WHERE order_id = $1",
        "DELETE FROM order_identifiers WHERE order_id = $1", "DELETE FROM orders WHERE id = $1"}) {
    connection_.execute(sql, params(id));
  }
}

bool Retention::remove_order(const OrderId& id, Instant ended, Instant failed) {
  const bool may_go =
      !connection_
           .query(
               "SELECT id FROM orders WHERE id = $1 AND (expires_at < $2 OR " +
                   std::string(kFailedOrder) +
                   ") AND certificate_id IS NULL AND (finalized_at IS NULL OR error IS NOT NULL) "
                   "AND NOT EXISTS (SELECT 1 FROM issuances WHERE issuances.order_id = orders.id "
                   "AND issuances.state NOT IN ('prepared', 'abandoned', 'refused')) "
                   "AND NOT EXISTS (SELECT 1 FROM certificates "
                   "WHERE certificates.order_id = orders.id) "
                   "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.kind = 'issue_certificate' "
                   "AND jobs.subject = orders.id)",
               params(id, ended, failed))
           .empty();
  if (may_go) {
    remove_rest_of_order(id);
  }
  return may_go;
}

bool Retention::remove_authorization(const AuthorizationId& id, Instant ended, Instant failed) {
  const bool may_go =
      !connection_
           .query("SELECT id FROM authorizations WHERE id = $1 AND (expires_at < $2 OR " +
                      std::string(kFailedAuthorization) +
                      ") AND NOT EXISTS (SELECT 1 FROM order_authorizations "
                      "WHERE order_authorizations.authorization_id = authorizations.id) "
                      "AND NOT EXISTS (SELECT 1 FROM challenges JOIN jobs "
                      "ON jobs.kind = 'validate_challenge' AND jobs.subject = challenges.id "
                      "WHERE challenges.authorization_id = authorizations.id)",
                  params(id, ended, failed))
           .empty();
  if (may_go) {
    connection_.execute("DELETE FROM challenges WHERE authorization_id = $1", params(id));
    connection_.execute("DELETE FROM authorizations WHERE id = $1", params(id));
  }
  return may_go;
}

bool Retention::remove_certificate(const CertificateId& id, Instant ended) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT order_id FROM certificates WHERE id = $1 AND not_after < $2", params(id, ended));
  if (rows.empty()) {
    return false;
  }
  for (const std::string_view sql :
       {"DELETE FROM certificate_identifiers WHERE certificate_id = $1",
        "DELETE FROM certificate_chains WHERE certificate_id = $1",
        "DELETE FROM certificates WHERE id = $1"}) {
    connection_.execute(sql, params(id));
  }
  remove_rest_of_order(OrderId(rows.front().text(0)));
  return true;
}

}  // namespace gatehouse::store
