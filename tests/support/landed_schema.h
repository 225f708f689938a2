// A database as an older version of the program has left it.
#pragma once

#include <algorithm>
#include <ranges>
#include <string>
#include <vector>

#include "acme-server/base/text.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/migrate.h"

namespace gatehouse::testing {

namespace landed {

// Of "table" or "index", in the order they were made.
inline std::vector<std::string> names_of(sql::Connection& writer, const std::string& type) {
  std::vector<std::string> names;
  const std::vector<sql::Value> parameters = {type};
  for (const sql::Row& row : writer.query(
           "SELECT name FROM sqlite_schema WHERE type = $1 AND sql IS NOT NULL ORDER BY rowid",
           parameters)) {
    names.push_back(row.text(0));
  }
  return names;
}

inline std::vector<std::string> columns_of(sql::Connection& writer, const std::string& table) {
  std::vector<std::string> columns;
  for (const sql::Row& row :
       writer.query("SELECT name FROM pragma_table_info('" + table + "') ORDER BY cid", {})) {
    columns.push_back(row.text(0));
  }
  return columns;
}

}  // namespace landed

// Makes the tables anew with the migrations up to `schema`, and moves into them what they can hold
// of the rows that are there: what was added since is lost, as if it had never been.
inline void return_to_schema(sql::Connection& writer, int schema) {
  for (const std::string& index : landed::names_of(writer, "index")) {
    writer.execute_script("DROP INDEX " + index);
  }
  writer.execute_script("DROP TABLE schema_migrations");
  const std::vector<std::string> tables = landed::names_of(writer, "table");
  for (const std::string& table : tables) {
    writer.execute_script("ALTER TABLE " + table + " RENAME TO newer_" + table);
  }
  sql::migrate(writer, sql::embedded_migrations().first(static_cast<std::size_t>(schema)));
  const std::vector<std::string> older = landed::names_of(writer, "table");
  for (const std::string& table : tables) {
    if (std::ranges::find(older, table) == older.end()) continue;
    const std::string columns = join(landed::columns_of(writer, table), ", ");
    writer.execute_script("INSERT INTO " + table + " (" + columns + ") SELECT " + columns +
                          " FROM newer_" + table);
  }
  for (const std::string& table : std::views::reverse(tables)) {
    writer.execute_script("DROP TABLE newer_" + table);
  }
}

}  // namespace gatehouse::testing
