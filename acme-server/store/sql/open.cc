#include "acme-server/store/sql/open.h"

#include "acme-server/store/sql/sqlite.h"

namespace gatehouse::sql {

std::unique_ptr<Database> open(const store::StoreOptions& options) {
  return std::make_unique<SqliteDatabase>(options);
}

}  // namespace gatehouse::sql
