#include "acme-server/store/refusals.h"

#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {

bool Refusals::note(const Refusal& refusal) {
  const std::string order = refusal.order ? refusal.order->str() : "";
  const std::string type = urn_of(refusal.type);
  const std::int64_t sequence =
      connection_
          .query("SELECT COALESCE(MAX(sequence), 0) + 1 FROM refusals WHERE account_id = $1",
                 params(refusal.account))
          .front()
          .integer(0);
  const bool again =
      connection_.execute(
          "UPDATE refusals SET sequence = $1, status = $2, detail = $3, route = $4, client = $5, "
          "last_at = $6, count = count + 1 WHERE account_id = $7 AND order_id = $8 AND type = $9",
          params(sequence, refusal.status, refusal.detail, refusal.route, refusal.client,
                 refusal.last, refusal.account, order, type)) == 1;
  if (again) return false;
  connection_.execute(
      "INSERT INTO refusals (account_id, order_id, type, sequence, status, detail, route, client, "
      "first_at, last_at, count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 1)",
      params(refusal.account, order, type, sequence, refusal.status, refusal.detail, refusal.route,
             refusal.client, refusal.last));
  connection_.execute(
      "DELETE FROM refusals WHERE account_id = $1 AND sequence NOT IN (SELECT sequence FROM "
      "refusals WHERE account_id = $1 ORDER BY sequence DESC LIMIT $2)",
      params(refusal.account, kKept));
  return true;
}

std::vector<Refusal> Refusals::of(const AccountId& account) {
  std::vector<Refusal> refusals;
  for (const sql::Row& row :
       connection_.query("SELECT order_id, type, status, detail, route, client, first_at, last_at, "
                         "count FROM refusals WHERE account_id = $1 ORDER BY sequence DESC",
                         params(account))) {
    const std::string order = row.text(0);
    refusals.push_back(
        {.account = account,
         .order = order.empty() ? std::nullopt : std::optional(OrderId(order)),
         .type = known("problem type", row.text(1), problem_type_from_urn(row.text(1))),
         .status = static_cast<int>(row.integer(2)),
         .detail = row.text(3),
         .route = row.text(4),
         .client = row.text(5),
         .first = instant_at(row, 6),
         .last = instant_at(row, 7),
         .count = row.integer(8)});
  }
  return refusals;
}

}  // namespace gatehouse::store
