#include "acme-server/store/sql/migrate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "acme-server/store/sql/open.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

constexpr sql::Migration kFirst{1, "0001_first", "CREATE TABLE one (a TEXT)"};
constexpr sql::Migration kSecond{2, "0002_second",
                                 "ALTER TABLE one ADD COLUMN b BIGINT; CREATE TABLE two (a TEXT)"};
constexpr sql::Migration kBroken{2, "0002_broken",
                                 "CREATE TABLE half (a TEXT); INSERT INTO missing VALUES (1)"};

bool has_table(sql::Connection& connection, const std::string& name) {
  const std::vector<sql::Row> rows =
      connection.query("SELECT name FROM sqlite_schema WHERE type = 'table'", {});
  return std::ranges::any_of(rows, [&](const sql::Row& row) { return row.text(0) == name; });
}

}  // namespace

TEST_CASE("migrations that are missing are applied, once, in order") {
  TemporaryFolder folder;
  const std::unique_ptr<sql::Database> database = sql::open(test_store_options(folder));
  const std::unique_ptr<sql::Connection> writer = database->connect_writer();
  CHECK(sql::migrate(*writer, {}) == 0);
  CHECK(sql::migrate(*writer, {&kFirst, 1}) == 1);
  const sql::Migration both[] = {kFirst, kSecond};
  CHECK(sql::migrate(*writer, both) == 2);
  CHECK(sql::migrate(*writer, both) == 2);
  CHECK(has_table(*writer, "two"));
}

TEST_CASE("a newer schema is refused with both numbers, and left as it is") {
  TemporaryFolder folder;
  const std::unique_ptr<sql::Database> database = sql::open(test_store_options(folder));
  const std::unique_ptr<sql::Connection> writer = database->connect_writer();
  writer->execute_script(
      "CREATE TABLE schema_migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);"
      "INSERT INTO schema_migrations VALUES (7, '0007_future')");
  CHECK_THROWS_WITH_AS(sql::migrate(*writer, {&kFirst, 1}),
                       doctest::Contains("the database has schema 7, this program knows schemas "
                                         "up to 1"),
                       sql::DatabaseError);
  CHECK_FALSE(has_table(*writer, "one"));
}

TEST_CASE("a migration that fails leaves nothing of itself behind") {
  TemporaryFolder folder;
  const std::unique_ptr<sql::Database> database = sql::open(test_store_options(folder));
  const std::unique_ptr<sql::Connection> writer = database->connect_writer();
  const sql::Migration migrations[] = {kFirst, kBroken};
  CHECK_THROWS_WITH_AS(sql::migrate(*writer, migrations), doctest::Contains("0002_broken"),
                       sql::DatabaseError);
  CHECK(has_table(*writer, "one"));
  CHECK_FALSE(has_table(*writer, "half"));
  const sql::Migration mended[] = {kFirst, kSecond};
  CHECK(sql::migrate(*writer, mended) == 2);
}

TEST_CASE("the embedded migrations are numbered from 1 without gaps") {
  int expected = 1;
  for (const sql::Migration& migration : sql::embedded_migrations()) {
    CHECK(migration.number == expected++);
    CHECK(std::stoi(std::string(migration.name)) == migration.number);
  }
  CHECK(expected > 1);
}

}  // namespace gatehouse::testing
