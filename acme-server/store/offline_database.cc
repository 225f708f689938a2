#include "acme-server/store/offline_database.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/open.h"

namespace gatehouse::store {

OfflineDatabase::OfflineDatabase(const std::string& path) : connection_(sql::look_at(path)) {
  if (!connection_) throw sql::DatabaseError(path + ": there is no database");
}

int OfflineDatabase::schema() {
  const auto rows = connection_->query("SELECT MAX(number) FROM schema_migrations", {});
  return static_cast<int>(rows.at(0).optional_integer(0).value_or(0));
}

std::vector<IssuerId> OfflineDatabase::issuers() {
  std::vector<IssuerId> issuers;
  for (const sql::Row& row : connection_->query("SELECT DISTINCT issuer FROM crls", {})) {
    issuers.emplace_back(row.text(0));
  }
  return issuers;
}

AuditHead OfflineDatabase::head() {
  return Audit(*connection_, Instant{}, arrivals_, nullptr).head();
}

std::optional<std::string> OfflineDatabase::hash_of_event(std::int64_t sequence) {
  const auto rows = events(sequence - 1, 1);
  if (rows.empty() || rows.front().sequence != sequence) return std::nullopt;
  return rows.front().hash;
}

std::vector<AuditRow> OfflineDatabase::events(std::int64_t after_sequence, std::size_t limit) {
  return Audit(*connection_, Instant{}, arrivals_, nullptr).list(after_sequence, limit);
}

std::vector<std::string> OfflineDatabase::crls() {
  Crls crls(*connection_);
  std::vector<std::string> octets;
  for (const sql::Row& row : connection_->query("SELECT issuer, url FROM crls", {})) {
    if (const auto crl = crls.in_force(IssuerId(row.text(0)), row.text(1))) {
      octets.push_back(crls.octets(*crl));
    }
  }
  return octets;
}

}  // namespace gatehouse::store
