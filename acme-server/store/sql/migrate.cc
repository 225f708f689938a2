#include "acme-server/store/sql/migrate.h"

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/transient_error.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::sql {
namespace {

constexpr std::string_view kMakeTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)";

int newest_applied(Connection& connection) {
  const std::vector<Row> rows =
      connection.query("SELECT number FROM schema_migrations ORDER BY number DESC LIMIT 1", {});
  return rows.empty() ? 0 : static_cast<int>(rows.front().integer(0));
}

void apply(Connection& writer, const Migration& migration) {
  writer.begin_write();
  try {
    writer.execute_script(migration.sql);
    const std::array<Value, 2> parameters = {value_of(migration.number),
                                             std::string(migration.name)};
    writer.execute("INSERT INTO schema_migrations (number, name) VALUES ($1, $2)", parameters);
    crash_point("start.migrating");
    writer.commit();
    crash_point("start.migrated");
  } catch (const DatabaseError& error) {
    writer.rollback();
    // A full disk stays one: it passes by itself.
    if (dynamic_cast<const TransientError*>(&error) != nullptr) throw;
    throw DatabaseError("migration " + std::string(migration.name) +
                        " failed, the database is as it was: " + error.what());
  }
}

}  // namespace

int migrate(Connection& writer, std::span<const Migration> migrations) {
  writer.execute_script(kMakeTable);
  int schema = newest_applied(writer);
  const int known = migrations.empty() ? 0 : migrations.back().number;
  if (schema > known) {
    throw DatabaseError("the database has schema " + std::to_string(schema) +
                        ", this program knows schemas up to " + std::to_string(known) +
                        "; start the newer version again, or restore a backup made before it");
  }
  int previous = 0;
  for (const Migration& migration : migrations) {
    ACME_CHECK(migration.number > previous);
    previous = migration.number;
    if (migration.number > schema) {
      apply(writer, migration);
      schema = migration.number;
    }
  }
  return schema;
}

}  // namespace gatehouse::sql
