// The SQLite driver: a WAL database with one writer and many readers, locked for this process.
#pragma once

#include <memory>
#include <string>

#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/lock_file.h"
#include "acme-server/store/store_options.h"

namespace gatehouse::sql {

// Every write and every checkpoint goes through the one writer connection, readers never
// checkpoint: besides being fast, this keeps SQLite's WAL-reset fault (3.7.0 to 3.51.2, two
// connections, a checkpoint against a commit) out of reach. ADR 0012.
class SqliteDatabase final : public Database {
 public:
  // Locks `<database>.lock` and makes the file, mode 0600, when there is none. Throws
  // DatabaseError, also when others may write the database or its folder.
  explicit SqliteDatabase(const store::StoreOptions& options);

  // At most one at a time, made before the first reader.
  std::unique_ptr<Connection> connect_writer() override;
  std::unique_ptr<Connection> connect_reader() override;
  std::string description() const override;

 private:
  store::StoreOptions options_;
  std::string path_;  // absolute, without symbolic links: one database, one lock
  LockFile lock_;
};

// See look_at().
std::unique_ptr<Connection> look_at_sqlite(const std::string& database);

}  // namespace gatehouse::sql
