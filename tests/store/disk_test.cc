// What becomes of writes when the disk fails under SQLite.
#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

// A store with synchronous=FULL on a disk that can fail; the end of the process is noted in `ends`.
struct DiskStore {
  FaultyDisk disk;
  TemporaryFolder folder;
  ManualClock clock;
  InlineExecutor writer;
  Log log;
  Metrics metrics;
  std::vector<std::string> ends;
  int full = 0;  // how often the store said so
  std::unique_ptr<sql::Database> database = sql::open(options());
  std::unique_ptr<store::Store> store =
      std::make_unique<store::Store>(*database, writer, clock, clock, log, metrics,
                                     store::Store::Options{.on_full = [this] { ++full; }});

  store::StoreOptions options() {
    store::StoreOptions options = test_store_options(folder);
    options.synchronous = store::Synchronous::full;
    options.checkpoint_pages = 30;
    options.on_fatal = [this](std::string_view why) { ends.emplace_back(why); };
    return options;
  }

  void put(const std::string& name, std::size_t size = 1) {
    store->write([&](store::Tx& tx) { tx.state().set(name, std::string(size, 'x')); });
  }

  // Past the checkpoint that follows the migrations, and the first COMMIT after it, which syncs the
  // new log's header too.
  void settle() {
    put("first", 1);
    put("first", 2);  // another value: writing the same again would write nothing
  }

  bool has(const std::string& name) {
    return store->read([&](store::Tx& tx) { return tx.state().get(name).has_value(); });
  }
};

}  // namespace

TEST_CASE("a write is one fsync, a read none") {
  DiskStore store;
  store.settle();
  const int before = store.disk.syncs;
  store.put("second");
  CHECK(store.disk.syncs == before + 1);
  CHECK(store.has("second"));
  CHECK(store.disk.syncs == before + 1);
}

TEST_CASE("a failed fsync at COMMIT ends the process") {
  DiskStore store;
  store.put("before");
  store.disk.fail_sync = true;
  CHECK_THROWS_AS(store.put("lost"), sql::DatabaseError);
  REQUIRE(store.ends.size() == 1);
  CHECK(store.ends.front().find("must not go on") != std::string::npos);
  store.disk.fail_sync = false;
}

TEST_CASE("a failed fsync in a checkpoint ends the process, the write before it was told") {
  DiskStore store;
  store.settle();
  // The COMMIT's own fsync succeeds; the log is long then, and the checkpoint's fails.
  store.disk.fail_after = store.disk.syncs + 1;
  store.put("large", 400'000);
  CHECK(store.ends.size() == 1);
  CHECK(store.has("large"));
}

TEST_CASE("a full disk at COMMIT does not end the process") {
  DiskStore store;
  store.put("before");
  store.disk.full = true;
  CHECK_THROWS_WITH_AS(store.put("lost"), doctest::Contains("make room"), sql::StorageFull);
  CHECK_THROWS_AS(store.put("lost"), sql::StorageFull);
  CHECK(store.full == 2);
  CHECK(store.has("before"));
  store.disk.full = false;
  store.put("after");
  CHECK(store.has("after"));
  CHECK_FALSE(store.has("lost"));
  CHECK(store.ends.empty());
}

TEST_CASE("a quota and a disk gone read-only are a full disk, any other failed write is an end") {
  struct Row {
    int error;
    bool passes;
  };

  for (const Row& row : {Row{ENOSPC, true}, Row{EDQUOT, true}, Row{EROFS, true}, Row{EIO, false}}) {
    CAPTURE(row.error);
    DiskStore store;
    store.put("before");
    store.disk.write_error = row.error;
    if (row.passes) {
      CHECK_THROWS_AS(store.put("lost"), sql::StorageFull);
    } else {
      CHECK_THROWS_AS(store.put("lost"), sql::DatabaseError);
    }
    store.disk.write_error = 0;
    CHECK(store.ends.empty() == row.passes);
    CHECK((store.full == 1) == row.passes);
    CHECK(store.has("before"));
    if (row.passes) store.put("after");
  }
}

TEST_CASE("a closure that swallows the full disk is told so all the same") {
  DiskStore store;
  store.disk.full = true;
  // More than the page cache holds: SQLite must write before the COMMIT.
  CHECK_THROWS_AS(store.store->write([](store::Tx& tx) {
    for (int i = 0; i < 40; ++i) {
      try {
        tx.state().set("large" + std::to_string(i), std::string(1'000'000, 'x'));
      } catch (const sql::DatabaseError&) {  // as a careless closure would
      }
    }
  }),
                  sql::StorageFull);
  CHECK(store.full == 1);
  store.disk.full = false;
  store.put("after");
  CHECK_FALSE(store.has("large0"));
}

}  // namespace gatehouse::testing
