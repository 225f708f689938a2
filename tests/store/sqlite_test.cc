#include "acme-server/store/sql/sqlite.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "acme-server/base/check.h"
#include "acme-server/store/sql/open.h"
#include "tests/support/forwarding_database.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

std::string pragma(sql::Connection& connection, const std::string& name) {
  const std::vector<sql::Row> rows = connection.query("PRAGMA " + name, {});
  REQUIRE(rows.size() == 1);
  return name == "journal_mode" ? rows.front().text(0) : std::to_string(rows.front().integer(0));
}

// A file with one table `t (a TEXT, b BIGINT)`.
struct Sample {
  Sample() : database(sql::open(test_store_options(folder))), writer(database->connect_writer()) {
    writer->execute_script("CREATE TABLE t (a TEXT UNIQUE, b BIGINT)");
  }

  TemporaryFolder folder;
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<sql::Connection> writer;
};

// Keeps hold of the writer, for PRAGMAs of that connection.
class WriterAtHand final : public sql::Database {
 public:
  WriterAtHand(std::unique_ptr<sql::Database> inner, sql::Connection*& writer)
      : inner_(std::move(inner)), writer_(writer) {}

  std::unique_ptr<sql::Connection> connect_writer() override {
    auto connection = inner_->connect_writer();
    writer_ = connection.get();
    return connection;
  }

  std::unique_ptr<sql::Connection> connect_reader() override { return inner_->connect_reader(); }

  std::string description() const override { return inner_->description(); }

 private:
  std::unique_ptr<sql::Database> inner_;
  sql::Connection*& writer_;
};

}  // namespace

TEST_CASE("parameters are bound by number, not by first appearance") {
  Sample sample;
  const std::array<sql::Value, 2> values = {std::string("one"), sql::value_of(1)};
  sample.writer->execute("INSERT INTO t (b, a) VALUES ($2, $1)", values);
  const std::array<sql::Value, 3> change = {sql::value_of(1), std::string("two"),
                                            std::string("it's $1 and \"$2\"")};
  CHECK(sample.writer->execute("UPDATE t SET a = $3 WHERE b = $1 AND a <> $2", change) == 1);
  const std::vector<sql::Row> rows =
      sample.writer->query("SELECT a, b, '$1' FROM t WHERE a LIKE 'it''s $1%'", {});
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().text(0) == "it's $1 and \"$2\"");
  CHECK(rows.front().integer(1) == 1);
  CHECK(rows.front().text(2) == "$1");
}

TEST_CASE("text is kept byte for byte, null is neither empty nor zero") {
  Sample sample;
  const std::string odd("a\0b\xc3\xa4", 5);
  const std::array<sql::Value, 2> values = {odd, sql::null()};
  sample.writer->execute("INSERT INTO t (a, b) VALUES ($1, $2)", values);
  const sql::Row row = sample.writer->query("SELECT a, b FROM t", {}).front();
  CHECK(row.text(0) == odd);
  CHECK(row.is_null(1));
  CHECK_FALSE(row.optional_integer(1));
  CHECK_THROWS_AS(row.integer(1), LogicError);
  CHECK_THROWS_AS(row.integer(0), LogicError);
  CHECK_THROWS_AS(row.text(2), LogicError);
}

TEST_CASE("a statement with too few or too many values is a bug") {
  Sample sample;
  const std::array<sql::Value, 1> one = {sql::value_of(1)};
  CHECK_THROWS_AS(sample.writer->query("SELECT a FROM t WHERE b = $1 AND a = $2", one), LogicError);
  CHECK_THROWS_AS(sample.writer->query("SELECT a FROM t", one), LogicError);
  CHECK_THROWS_AS(sample.writer->query("SELECT a FROM t; SELECT b FROM t", {}), LogicError);
}

TEST_CASE("connections are set up so that only the writer writes and checkpoints") {
  Sample sample;
  CHECK(pragma(*sample.writer, "journal_mode") == "wal");
  const std::unique_ptr<sql::Connection> reader = sample.database->connect_reader();
  for (sql::Connection* connection : {sample.writer.get(), reader.get()}) {
    CHECK(pragma(*connection, "foreign_keys") == "1");
    CHECK(pragma(*connection, "trusted_schema") == "0");
    CHECK(pragma(*connection, "mmap_size") == "0");
  }
  CHECK(pragma(*reader, "query_only") == "1");
  CHECK(pragma(*reader, "wal_autocheckpoint") == "0");
  CHECK_THROWS_AS(reader->execute("DELETE FROM t", {}), sql::DatabaseError);
  // Defensive: the schema cannot be edited as text.
  sample.writer->execute_script("PRAGMA writable_schema = 1");
  CHECK_THROWS_AS(sample.writer->execute("DELETE FROM sqlite_schema", {}), sql::DatabaseError);
}

TEST_CASE("synchronous is FULL unless a test says otherwise") {
  TemporaryFolder folder;
  store::StoreOptions options;
  options.database = folder.path() + "/full.db";
  CHECK(pragma(*sql::open(options)->connect_writer(), "synchronous") == "2");
  CHECK(pragma(*sql::open(test_store_options(folder))->connect_writer(), "synchronous") == "0");
}

TEST_CASE("the database's files are for their owner's eyes only") {
  Sample sample;
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    CAPTURE(suffix);
    struct stat status{};
    REQUIRE(::stat((sample.folder.path() + "/test.db" + suffix).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
}

TEST_CASE("a database is not opened twice, and the message names who has it") {
  TemporaryFolder folder;
  const store::StoreOptions options = test_store_options(folder);
  SUBCASE("in this process") {
    const std::unique_ptr<sql::Database> first = sql::open(options);
    CHECK_THROWS_WITH_AS(sql::open(options),
                         doctest::Contains(("process " + std::to_string(::getpid())).c_str()),
                         sql::DatabaseError);
  }
  SUBCASE("through another name of its folder") {
    const std::unique_ptr<sql::Database> first = sql::open(options);
    const std::string link = folder.path() + "/link";
    std::filesystem::create_directory_symlink(folder.path(), link);
    store::StoreOptions other = options;
    other.database = link + "/test.db";
    CHECK_THROWS_AS(sql::open(other), sql::DatabaseError);
  }
  SUBCASE("in another process, until that ends") {
    std::array<int, 2> ready{};
    REQUIRE(::pipe(ready.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      try {
        const sql::LockFile lock(options.database + ".lock", "the database");
        if (::write(ready[1], "x", 1) == 1) {
          ::pause();
        }
      } catch (...) {
      }
      ::_exit(1);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    CHECK_THROWS_WITH_AS(sql::open(options),
                         doctest::Contains(("process " + std::to_string(child)).c_str()),
                         sql::DatabaseError);
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK_NOTHROW(sql::open(options));
    ::close(ready[0]);
    ::close(ready[1]);
  }
}

TEST_CASE("what cannot be a database file is refused with its name") {
  TemporaryFolder folder;
  for (const std::string& path :
       {std::string(), std::string(":memory:"), folder.path() + "/missing/x.db", folder.path()}) {
    CAPTURE(path);
    store::StoreOptions options;
    options.database = path;
    CHECK_THROWS_AS(sql::open(options), sql::DatabaseError);
  }
  const std::string text_file = folder.path() + "/text.db";
  std::ofstream(text_file) << std::string(8192, 'x');
  store::StoreOptions options;
  options.database = text_file;
  CHECK_THROWS_WITH_AS(sql::open(options)->connect_writer(), doctest::Contains("text.db"),
                       sql::DatabaseError);
}

TEST_CASE("a savepoint gives up its own part of a transaction") {
  Sample sample;
  const auto insert = [&](const std::string& text) {
    const std::array<sql::Value, 1> values = {text};
    sample.writer->execute("INSERT INTO t (a) VALUES ($1)", values);
  };
  sample.writer->begin_write();
  sample.writer->savepoint();
  insert("kept");
  sample.writer->release_savepoint();
  sample.writer->savepoint();
  insert("lost");
  CHECK_THROWS_AS(insert("kept"), sql::ConstraintError);
  CHECK(sample.writer->in_transaction());
  sample.writer->rollback_to_savepoint();
  sample.writer->commit();
  const std::vector<sql::Row> rows = sample.writer->query("SELECT a FROM t", {});
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().text(0) == "kept");
}

TEST_CASE("a full disk fails the writes that met it; with room again the next ones go on") {
  sql::Connection* writer = nullptr;
  TestStore store([&](std::unique_ptr<sql::Database> inner) {
    return std::make_unique<WriterAtHand>(std::move(inner), writer);
  });
  store->write([](store::Tx& tx) { tx.state().set("before", "x"); });
  const std::int64_t pages = writer->query("PRAGMA page_count", {}).front().integer(0);
  writer->execute_script("PRAGMA max_page_count = " + std::to_string(pages + 4));
  const std::string large(100'000, 'x');
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_WITH_AS(store->write([&](store::Tx& tx) {
      tx.state().set("small", "x");
      tx.state().set("large", large);
    }),
                         doctest::Contains("full"), sql::DatabaseError);
  }
  // A closure that swallows the failure is not let on in the ruins of its transaction.
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) {
    try {
      tx.state().set("large", large);
    } catch (const sql::DatabaseError&) {
    }
    tx.state().set("swallowed", "x");
    if (!writer->in_transaction()) {
      FAIL("a statement ran outside of its transaction");
    }
    throw sql::DatabaseError("still within it");
  }),
                  sql::DatabaseError);
  writer->execute_script("PRAGMA max_page_count = 1000000");
  store->write([&](store::Tx& tx) { tx.state().set("after", large); });
  store->read([&](store::Tx& tx) {
    CHECK(tx.state().get("before"));
    CHECK_FALSE(tx.state().get("small"));
    CHECK_FALSE(tx.state().get("swallowed"));
    CHECK(tx.state().get("after") == large);
  });
}

// The files as a crash would leave them: copied while the database is open and nothing has been
// checkpointed.
TEST_CASE("what was committed is there after a crash, what was not is not") {
  TemporaryFolder crashed;
  TestStore store;
  store->write([](store::Tx& tx) { tx.state().set("committed", "x"); });
  const std::unique_ptr<sql::Connection> second = store.database().connect_writer();
  second->begin_write();
  const std::array<sql::Value, 2> values = {std::string("open"), std::string(100'000, 'x')};
  second->execute("INSERT INTO state (name, value) VALUES ($1, $2)", values);
  CHECK(std::filesystem::file_size(store.folder() + "/test.db") <= 4096);  // all in the log
  std::filesystem::copy(store.folder(), crashed.path());
  second->rollback();

  std::filesystem::remove(crashed.path() + "/test.db-shm");
  // A torn write at the end of the log is what a crash in the middle of one leaves.
  std::ofstream(crashed.path() + "/test.db-wal", std::ios::app | std::ios::binary)
      << std::string(777, '\x5a');
  const std::unique_ptr<sql::Database> again = sql::open(test_store_options(crashed));
  const std::unique_ptr<sql::Connection> writer = again->connect_writer();
  const std::vector<sql::Row> rows =
      writer->query("SELECT name FROM state WHERE name IN ('committed', 'open')", {});
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().text(0) == "committed");
  CHECK(writer->query("PRAGMA integrity_check", {}).front().text(0) == "ok");
}

TEST_CASE("the writer checkpoints between groups once the log is long, and not on close") {
  TemporaryFolder folder;
  store::StoreOptions options = test_store_options(folder);
  options.checkpoint_pages = 50;
  const std::string file = folder.path() + "/test.db";
  {
    const std::unique_ptr<sql::Database> database = sql::open(options);
    const std::unique_ptr<sql::Connection> writer = database->connect_writer();
    const std::unique_ptr<sql::Connection> reader = database->connect_reader();
    writer->execute_script("CREATE TABLE t (a TEXT, b BIGINT)");
    const std::array<sql::Value, 1> values = {std::string(20'000, 'x')};
    const auto insert = [&] {
      writer->begin_write();
      writer->execute("INSERT INTO t (a) VALUES ($1)", values);
      writer->commit();
      writer->housekeep();
    };
    insert();
    const auto before = std::filesystem::file_size(file);
    for (int i = 0; i < 20; ++i) {
      insert();
    }
    CHECK(std::filesystem::file_size(file) > before);
    for (int i = 0; i < 200; ++i) {
      insert();
    }
    // It begins the log anew each time: far below the 220 x 24 KiB that were written.
    CHECK(std::filesystem::file_size(file + "-wal") < 2'000'000);
    reader->query("SELECT COUNT(*) FROM t", {});
  }
  CHECK(std::filesystem::file_size(file + "-wal") > 0);
}

TEST_CASE("a reader that stays holds up neither commits nor, for long, the log") {
  TemporaryFolder folder;
  store::StoreOptions options = test_store_options(folder);
  options.checkpoint_pages = 10;
  const std::unique_ptr<sql::Database> database = sql::open(options);
  const std::unique_ptr<sql::Connection> writer = database->connect_writer();
  const std::unique_ptr<sql::Connection> reader = database->connect_reader();
  writer->execute_script("CREATE TABLE t (a TEXT, b BIGINT)");
  const std::array<sql::Value, 1> values = {std::string(20'000, 'x')};
  const auto insert = [&](int times) {
    for (int i = 0; i < times; ++i) {
      writer->begin_write();
      writer->execute("INSERT INTO t (a) VALUES ($1)", values);
      writer->commit();
      writer->housekeep();
    }
  };
  const std::string log = folder.path() + "/test.db-wal";
  insert(1);
  reader->begin_read();
  CHECK(reader->query("SELECT COUNT(*) FROM t", {}).front().integer(0) == 1);
  insert(100);  // 600 pages: the writer has stopped waiting for it twice or thrice
  CHECK(reader->query("SELECT COUNT(*) FROM t", {}).front().integer(0) == 1);
  reader->rollback();
  insert(1);
  const auto grown = std::filesystem::file_size(log);
  CHECK(grown > 2'000'000);
  insert(100);
  CHECK(std::filesystem::file_size(log) == grown);  // begun anew, written over
}

}  // namespace gatehouse::testing
