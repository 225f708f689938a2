#include "acme-server/store/sql/open.h"

#include <memory>

#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/sqlite.h"
#include "acme-server/store/store_options.h"

namespace gatehouse::sql {

std::unique_ptr<Database> open(const store::StoreOptions& options) {
  return std::make_unique<SqliteDatabase>(options);
}

}  // namespace gatehouse::sql
