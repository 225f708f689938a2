#include "acme-server/store/sql/version.h"

#include <sqlite3.h>

#include "acme-server/base/library_version.h"

namespace gatehouse::sql {

LibraryVersion library_version() {
  const int number = sqlite3_libversion_number();  // 3040001 is 3.40.1
  return {.name = "SQLite", .number = {number / 1000000, number / 1000 % 1000, number % 1000}};
}

}  // namespace gatehouse::sql
