#include "acme-server/store/sql/open.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/sqlite.h"
#include "acme-server/store/sql/sqlite_backup.h"
#include "acme-server/store/store_options.h"

namespace gatehouse::sql {

std::unique_ptr<Database> open(const store::StoreOptions& options) {
  return std::make_unique<SqliteDatabase>(options);
}

std::unique_ptr<Connection> look_at(const std::string& database) {
  return look_at_sqlite(database);
}

void backup(const store::StoreOptions& options, const std::string& to,
            const std::function<void()>& source_open) {
  if (std::filesystem::exists(unfinished_restore_of(options.database))) {
    throw DatabaseError(options.database +
                        ": a restore of it was broken off; run `gatehouse restore` again first");
  }
  copy_sqlite(options.database, to, options.free_space_floor, source_open);
}

std::string unfinished_restore_of(const std::string& database) {
  return database + ".restoring";
}

}  // namespace gatehouse::sql
