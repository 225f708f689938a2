#include "acme-server/service/operations/backup.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/context.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

BackupMade back_up(Context& context, const std::function<void(const std::string&)>& copy,
                   const std::string& to, const Principal& actor) {
  if (!std::filesystem::path(to).is_absolute()) {
    reject(ProblemType::malformed, "The backup's path must be absolute.");
  }
  try {
    copy(to);
  } catch (const sql::DatabaseError& error) {
    // The operator is told why; it is not a failure of the server.
    context.log.warning("store.backup_refused", {{"file", to}, {"error", error.what()}});
    reject(ProblemType::malformed, error.what());
  }
  BackupMade made{.file = to, .octets = std::filesystem::file_size(to)};
  context.store.write([&](store::Tx& tx) {
    tx.audit().append({.kind = "store.backed_up",
                       .actor = actor,
                       .directory = std::nullopt,
                       .account = std::nullopt,
                       .order = std::nullopt,
                       .authorization = std::nullopt,
                       .certificate = std::nullopt,
                       .details = {{"file", made.file}, {"octets", made.octets}}});
  });
  context.log.info("store.backed_up", {{"file", made.file}, {"octets", made.octets}});
  return made;
}

}  // namespace gatehouse::service
