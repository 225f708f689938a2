// A database file that no server has open, read as it lies there: not locked, not migrated, nothing
// written to it. For a restore, which compares a backup with what it replaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/ids.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// Used by one thread. Whoever has it sees to it that nobody writes. Each call throws DatabaseError
// for a file that is damaged, or whose schema has no such thing yet.
class OfflineDatabase final {
 public:
  explicit OfflineDatabase(const std::string& path);

  int schema();
  // Every issuer that a CRL was ever published for.
  std::vector<IssuerId> issuers();

  AuditHead head();
  // Nothing when the trail does not go so far.
  std::optional<std::string> hash_of_event(std::int64_t sequence);
  // Oldest first.
  std::vector<AuditRow> events(std::int64_t after_sequence, std::size_t limit);

  // The CRLs in force, in DER.
  std::vector<std::string> crls();

 private:
  std::unique_ptr<sql::Connection> connection_;
  ArrivalCounter arrivals_ = 0;
};

}  // namespace gatehouse::store
