// Numbered migrations, embedded in the binary.
#pragma once

#include <span>
#include <string_view>

#include "acme-server/store/sql/database.h"

namespace gatehouse::sql {

struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};

// store/migrations/*.sql, in order.
std::span<const Migration> embedded_migrations();

// Applies those that `writer`'s database lacks, each in a transaction of its own, and returns the
// schema's number. Throws DatabaseError naming both numbers when the database is newer than this
// binary: nothing is changed then.
int migrate(Connection& writer, std::span<const Migration> migrations);

}  // namespace gatehouse::sql
