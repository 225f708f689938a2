// Backups of a SQLite database in use.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "acme-server/base/executor.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/sql/sqlite_backup.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

namespace fs = std::filesystem;

// What a store over `path` says of `name`.
std::string value_in(const std::string& path, const std::string& name) {
  store::StoreOptions options;
  options.database = path;
  options.synchronous = store::Synchronous::off;
  const auto database = sql::open(options);
  ManualClock clock;
  InlineExecutor writer;
  Log log;
  Metrics metrics;
  store::Store store(*database, writer, clock, clock, log, metrics);
  return store.read([&](store::Tx& tx) { return tx.state().get(name).value_or("none"); });
}

std::size_t files_in(const std::string& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a backup under load is one moment of the database, whole, private, a single file") {
  const TemporaryFolder folder;
  const TemporaryFolder target;
  store::StoreOptions options = test_store_options(folder);
  options.free_space_floor = 0;
  options.checkpoint_pages = 100;
  const auto database = sql::open(options);
  ManualClock clock;
  WorkerPool writer({.name = "writer", .threads = 1, .queue_limit = 16});
  Log log;
  Metrics metrics;
  store::Store store(*database, writer, clock, clock, log, metrics);
  const std::string filling(4000, 'x');
  for (int i = 0; i < 2000; ++i) {
    store.write([&](store::Tx& tx) { tx.state().set("fill" + std::to_string(i), filling); });
  }
  std::atomic<bool> stop = false;
  std::atomic<int> writes = 0;
  std::jthread load([&] {
    for (int i = 1; !stop; ++i) {
      store.write([&](store::Tx& tx) {
        tx.state().set("first", std::to_string(i));
        tx.state().set("fill" + std::to_string(i % 2000), filling + std::to_string(i));
        tx.state().set("second", std::to_string(i));
      });
      ++writes;
    }
  });
  const std::string to = target.path() + "/copy.db";
  const int before = writes;
  sql::backup(options, to);
  const int after = writes;
  stop = true;
  load.join();
  CHECK(after > before);  // nobody had to wait for it
  CHECK(files_in(target.path()) == 1);
  struct stat info{};
  REQUIRE(::stat(to.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(sql::why_not_whole(to).empty());
  const std::string first = value_in(to, "first");
  CHECK(first == value_in(to, "second"));
  CHECK(value_in(to, "fill1999") != "none");
}

TEST_CASE("a backup overwrites nothing, needs room, and leaves nothing of one that failed") {
  const TemporaryFolder folder;
  const TemporaryFolder target;
  store::StoreOptions options = test_store_options(folder);
  options.free_space_floor = 0;
  {
    TestStore other;  // any database with a schema
    options.database = other.folder() + "/test.db";
    const std::string to = target.path() + "/copy.db";
    std::ofstream(to) << "precious";
    CHECK_THROWS_WITH_AS(sql::backup(options, to), doctest::Contains("is there already"),
                         sql::DatabaseError);
    CHECK(fs::file_size(to) == 8);
    fs::remove(to);
    options.free_space_floor = std::uint64_t{1} << 60U;
    CHECK_THROWS_WITH_AS(sql::backup(options, to), doctest::Contains("choose another disk"),
                         sql::DatabaseError);
    options.free_space_floor = 0;
    CHECK_THROWS_AS(sql::backup(options, target.path() + "/missing/copy.db"), sql::DatabaseError);
    CHECK(files_in(target.path()) == 0);
    sql::backup(options, to);
    CHECK(files_in(target.path()) == 1);
  }
}

TEST_CASE("a file that is no whole database of ours is known for it") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/x.db";
  CHECK_FALSE(sql::why_not_whole(path).empty());
  std::ofstream(path) << std::string(8192, 'x');
  CHECK_FALSE(sql::why_not_whole(path).empty());
  std::ofstream(path, std::ios::trunc).flush();
  CHECK(sql::why_not_whole(path) == "it is no database of Gatehouse");
}

TEST_CASE("a database with a half-done restore beside it is not opened") {
  const TemporaryFolder folder;
  const store::StoreOptions options = test_store_options(folder);
  sql::open(options);
  std::ofstream(sql::unfinished_restore_of(options.database)) << "x";
  CHECK_THROWS_WITH_AS(sql::open(options), doctest::Contains("broken off"), sql::DatabaseError);
}

}  // namespace gatehouse::testing
