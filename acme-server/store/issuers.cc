#include "acme-server/store/issuers.h"

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {

std::vector<StoredIssuer> Issuers::all() {
  std::vector<StoredIssuer> issuers;
  for (const sql::Row& row :
       connection_.query("SELECT backend, id, chain_pem, root_pem, added_at FROM issuers "
                         "ORDER BY backend, added_at, id",
                         {})) {
    issuers.push_back({.backend = row.text(0),
                       .id = IssuerId(row.text(1)),
                       .chain_pem = row.text(2),
                       .root_pem = row.text(3),
                       .added = instant_at(row, 4)});
  }
  return issuers;
}

Issuers::Put Issuers::put(const StoredIssuer& issuer) {
  const bool added =
      connection_.execute(
          "INSERT INTO issuers (backend, id, chain_pem, root_pem, added_at) "
          "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
          params(issuer.backend, issuer.id, issuer.chain_pem, issuer.root_pem, issuer.added)) == 1;
  if (added) return Put::added;
  const bool changed =
      connection_.execute(
          "UPDATE issuers SET chain_pem = $1, root_pem = $2 "
          "WHERE backend = $3 AND id = $4 AND (chain_pem <> $1 OR root_pem <> $2)",
          params(issuer.chain_pem, issuer.root_pem, issuer.backend, issuer.id)) == 1;
  return changed ? Put::changed : Put::same;
}

bool Issuers::remove_unneeded(const std::string& backend, const IssuerId& id) {
  return connection_.execute(
             "DELETE FROM issuers WHERE backend = $1 AND id = $2 "
             "AND NOT EXISTS (SELECT 1 FROM certificates WHERE certificates.issuer = issuers.id) "
             "AND NOT EXISTS (SELECT 1 FROM issuances WHERE issuances.backend = issuers.backend "
             "AND issuances.state IN ('prepared', 'submitted', 'in_doubt'))",
             params(backend, id)) == 1;
}

}  // namespace gatehouse::store
