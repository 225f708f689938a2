#include "acme-server/store/sql/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/match.h"
#include "acme-server/base/technical_detail.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/sql/sqlite_failures.h"
#include "acme-server/store/sql/sqlite_file.h"
#include "acme-server/store/sql/sqlite_handles.h"
#include "acme-server/store/store_options.h"

namespace gatehouse::sql {
namespace {

// How much of the write-ahead log stays on disk after a checkpoint, to be written over.
constexpr std::string_view kKeptLog = "PRAGMA journal_size_limit = 67108864";
// A PASSIVE checkpoint stops at the oldest reader's snapshot. When the log is this many times its
// limit that has gone on for too long, and the writer waits for the readers there are, this long:
// ours are done by then. One that is not (a backup) is asked again when the log has doubled.
constexpr int kPatience = 8;
constexpr int kReaderMilliseconds = 200;
// How many places statements are known by, at most; a text that is put together has ever new ones.
constexpr std::size_t kPlaces = 1024;
constexpr std::size_t kSqlSample = 60;  // of a statement, in messages: enough to find it

// Somebody else, an operator's shell most likely, has held a lock for too long.
class DatabaseBusy : public DatabaseError, public TransientError {
 public:
  using DatabaseError::DatabaseError;
};

// Ends a run of a cached statement: it holds locks and its result until then.
class ResetWhenDone final {
 public:
  explicit ResetWhenDone(sqlite3_stmt* statement) : statement_(statement) {}

  ~ResetWhenDone() { sqlite3_reset(statement_); }

  ResetWhenDone(const ResetWhenDone&) = delete;
  ResetWhenDone& operator=(const ResetWhenDone&) = delete;

 private:
  sqlite3_stmt* statement_;
};

// Lets a string_view look up a std::string key.
struct TextHash {
  using is_transparent = void;

  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

// SQLite takes "$2" for a name and numbers names by their first appearance: "SET x = $2 WHERE
// id = $1" would swap its values. "?2" is parameter 2. Quoted text is left alone.
std::string with_numbered_parameters(std::string_view sql) {
  std::string out(sql);
  char quote = 0;
  for (char& c : out) {
    if (quote != 0) {
      quote = c == quote ? '\0' : quote;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '$') {
      c = '?';
    }
  }
  return out;
}

// What the connections of one database have in common.
struct Shared {
  std::string path;
  store::Synchronous synchronous;
  int checkpoint_pages;
  std::function<void(std::string_view)> on_fatal;
};

enum class Role { writer, reader };

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(Shared shared, Role role);

  std::vector<Row> query(std::string_view sql, std::span<const Value> parameters) override;
  std::int64_t execute(std::string_view sql, std::span<const Value> parameters) override;
  void begin_write() override;
  void begin_read() override;
  void commit() override;
  void rollback() noexcept override;

  void savepoint() override { run("SAVEPOINT member"); }

  void release_savepoint() override { run("RELEASE member"); }

  void rollback_to_savepoint() override;

  bool in_transaction() const override { return sqlite3_get_autocommit(handle_.get()) == 0; }

  void execute_script(std::string_view sql) override;

  std::string_view skip_locked() const override { return ""; }

  bool housekeeping_due() const override { return log_pages_ >= shared_.checkpoint_pages; }

  void housekeep() override;

 private:
  void configure(Role role);
  void option(int name, int value);
  // The cached statement of `sql`, prepared at its first use.
  sqlite3_stmt* prepared(std::string_view sql);
  sqlite3_stmt* bound(std::string_view sql, std::span<const Value> parameters);
  // Runs a statement without parameters and result.
  void run(std::string_view sql);
  [[noreturn]] void fail(int code, std::string_view sql, bool committing = false) const;

  Shared shared_;
  DatabaseHandle handle_;
  std::unordered_map<std::string, StatementHandle, TextHash, std::equal_to<>> statements_;

  // The statements by the address of the text they were last asked for with.
  struct Placed {
    std::string_view sql;  // of statements_
    sqlite3_stmt* statement = nullptr;
  };

  std::unordered_map<const char*, Placed> by_place_;
  int patience_pages_;           // a log this long is worth waiting for readers
  int log_pages_ = 0;            // of the write-ahead log, after our last commit
  mutable bool full_ = false;    // that was the failure of this transaction
  bool in_transaction_ = false;  // as we were told; SQLite may have thrown it away since
};

SqliteConnection::SqliteConnection(Shared shared, Role role)
    : shared_(std::move(shared)), patience_pages_(shared_.checkpoint_pages * kPatience) {
  // NOMUTEX: one thread at a time uses a connection. Never CREATE: the file is there, mode 0600.
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(shared_.path.c_str(), &handle, kFlags, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) {
    fail(code, "open");
  }
  configure(role);
}

void SqliteConnection::option(int name, int value) {
  if (const int code = sqlite3_db_config(handle_.get(), name, value, nullptr); code != SQLITE_OK) {
    fail(code, "sqlite3_db_config");
  }
}

void SqliteConnection::configure(Role role) {
  option(SQLITE_DBCONFIG_DEFENSIVE, 1);
  option(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
  option(SQLITE_DBCONFIG_ENABLE_FKEY, 1);
  // Plans are made once: else SQLite prepares a statement anew when a value that is bound could
  // make for a better one, which is as dear as the statement.
  option(SQLITE_DBCONFIG_ENABLE_QPSG, 1);
  option(SQLITE_DBCONFIG_DQS_DML, 0);
  option(SQLITE_DBCONFIG_DQS_DDL, 0);
  // The last connection to close would checkpoint otherwise, and that may be a reader.
  option(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1);
  // Small pieces of memory for running statements, so that malloc is spared: 1.2 KiB each.
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_LOOKASIDE, nullptr, 1200, 250);
  sqlite3_busy_timeout(handle_.get(), kBusyMilliseconds);
  execute_script("PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY");
  if (role == Role::reader) {
    // Each COMMIT empties a reader's cache: it holds what one transaction reads.
    execute_script(
        "PRAGMA query_only = 1; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -2048");
    return;
  }
  execute_script("PRAGMA cache_size = -8192");
  const std::vector<Row> mode = query("PRAGMA journal_mode = WAL", {});
  if (mode.size() != 1 || mode.front().text(0) != "wal") {
    throw DatabaseError("SQLite cannot keep a write-ahead log for " + shared_.path +
                        "; the database must be on a local disk");
  }
  switch (shared_.synchronous) {
    case store::Synchronous::full:
      execute_script("PRAGMA synchronous = FULL");
      break;
    case store::Synchronous::off:
      execute_script("PRAGMA synchronous = OFF");
      break;
  }
  execute_script(kKeptLog);
  // SQLite's own checkpoints swallow their errors, a failed fsync too: housekeep() does it. The
  // hook takes the place of the automatic one, and only remembers how long the log is.
  sqlite3_wal_hook(
      handle_.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<SqliteConnection*>(self)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

void SqliteConnection::fail(int code, std::string_view sql, bool committing) const {
  const int error = errno;  // SQLite keeps it for some of its failures only, and not for a COMMIT's
  const std::string statement(sql.substr(0, kSqlSample));
  std::string message = "the database " + shared_.path + ": " + sqlite3_errmsg(handle_.get()) +
                        " (SQLite " + std::to_string(code) + ")";
  if (is_fatal(code, error, committing)) {
    message = "the disk failed to keep what was written, the process must not go on: " + message;
    if (!shared_.on_fatal) {
      std::fputs((message + "\n").c_str(), stderr);
      std::abort();
    }
    shared_.on_fatal(message);
    throw Detailed<DatabaseError>(message, statement);
  }
  if ((code & 0xff) == SQLITE_CONSTRAINT) {
    throw Detailed<ConstraintError>(message, statement);
  }
  if ((code & 0xff) == SQLITE_BUSY) throw DatabaseBusy(message);
  if (is_want_of_room(code, error)) {
    full_ = true;
    throw Detailed<StorageFull>(
        message + "; make room on the disk, writes then go on by themselves", statement);
  }
  throw Detailed<DatabaseError>(message, statement);
}

sqlite3_stmt* SqliteConnection::prepared(std::string_view sql) {
  // Most texts are literals: where one stands says which it is, but for a look to make sure.
  if (by_place_.size() > kPlaces) {
    by_place_.clear();
  }
  Placed& placed = by_place_[sql.data()];
  if (placed.statement != nullptr && placed.sql == sql) {
    return placed.statement;
  }
  if (const auto found = statements_.find(sql); found != statements_.end()) {
    placed = {.sql = found->first, .statement = found->second.get()};
    return found->second.get();
  }
  const std::string text = with_numbered_parameters(sql);
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_.get(), text.c_str(), static_cast<int>(text.size() + 1),
                         SQLITE_PREPARE_PERSISTENT, &statement, &tail);
  StatementHandle owner(statement);
  if (code != SQLITE_OK) {
    fail(code, sql);
  }
  ACME_CHECK(statement != nullptr && *tail == '\0');  // one statement, all of the text
  return statements_.emplace(std::string(sql), std::move(owner)).first->second.get();
}

// The values are bound where they are: they outlive the run, and the next run binds all anew.
sqlite3_stmt* SqliteConnection::bound(std::string_view sql, std::span<const Value> parameters) {
  if (in_transaction_ && !in_transaction()) {
    // A closure that swallowed the failure must not go on in autocommit mode.
    constexpr const char* kGone = "SQLite gave up the transaction after an earlier failure";
    if (full_) {
      throw StorageFull(kGone);
    }
    throw DatabaseError(kGone);
  }
  sqlite3_stmt* statement = prepared(sql);
  ACME_CHECK(static_cast<std::size_t>(sqlite3_bind_parameter_count(statement)) ==
             parameters.size());
  int number = 0;
  for (const Value& value : parameters) {
    ++number;
    const int code = std::visit(
        Match{[&](std::monostate) { return sqlite3_bind_null(statement, number); },
              [&](std::int64_t integer) { return sqlite3_bind_int64(statement, number, integer); },
              [&](std::string_view text) {
                return sqlite3_bind_text64(statement, number, text.data(), text.size(),
                                           SQLITE_STATIC, SQLITE_UTF8);
              }},
        value);
    if (code != SQLITE_OK) {
      fail(code, sql);
    }
  }
  return statement;
}

Row row_of(sqlite3_stmt* statement) {
  const int count = sqlite3_column_count(statement);
  Row row(static_cast<std::size_t>(count));
  for (int column = 0; column < count; ++column) {
    const int type = sqlite3_column_type(statement, column);
    if (type == SQLITE_NULL) {
      row.add_null();
    } else if (type == SQLITE_INTEGER) {
      row.add_integer(sqlite3_column_int64(statement, column));
    } else {
      ACME_CHECK(type == SQLITE_TEXT);  // TEXT and BIGINT only, nothing else is ever stored
      const unsigned char* text = sqlite3_column_text(statement, column);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      row.add_text({reinterpret_cast<const char*>(text), size});
    }
  }
  return row;
}

std::vector<Row> SqliteConnection::query(std::string_view sql, std::span<const Value> parameters) {
  sqlite3_stmt* statement = bound(sql, parameters);
  const ResetWhenDone reset(statement);
  std::vector<Row> rows;
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    rows.push_back(row_of(statement));
  }
  if (code != SQLITE_DONE) {
    fail(code, sql);
  }
  return rows;
}

std::int64_t SqliteConnection::execute(std::string_view sql, std::span<const Value> parameters) {
  sqlite3_stmt* statement = bound(sql, parameters);
  const ResetWhenDone reset(statement);
  if (const int code = sqlite3_step(statement); code != SQLITE_DONE) {
    ACME_CHECK(code != SQLITE_ROW);  // what has a result goes through query()
    fail(code, sql);
  }
  return sqlite3_changes64(handle_.get());
}

void SqliteConnection::run(std::string_view sql) {
  sqlite3_stmt* statement = bound(sql, {});
  const ResetWhenDone reset(statement);
  if (const int code = sqlite3_step(statement); code != SQLITE_DONE) {
    fail(code, sql);
  }
}

void SqliteConnection::begin_write() {
  ACME_CHECK(!in_transaction_);
  full_ = false;
  run("BEGIN IMMEDIATE");
  in_transaction_ = true;
}

void SqliteConnection::begin_read() {
  ACME_CHECK(!in_transaction_);
  full_ = false;
  run("BEGIN");
  in_transaction_ = true;
}

void SqliteConnection::commit() {
  constexpr std::string_view kCommit = "COMMIT";
  sqlite3_stmt* statement = bound(kCommit, {});
  const ResetWhenDone reset(statement);
  if (const int code = sqlite3_step(statement); code != SQLITE_DONE) {
    fail(code, kCommit, true);
  }
  in_transaction_ = false;
}

void SqliteConnection::rollback() noexcept {
  in_transaction_ = false;
  if (in_transaction()) {
    run("ROLLBACK");  // noexcept: without a way back to a known state the process ends
  }
}

void SqliteConnection::rollback_to_savepoint() {
  run("ROLLBACK TO member");
  run("RELEASE member");
}

void SqliteConnection::execute_script(std::string_view sql) {
  const std::string text(sql);
  const int code = sqlite3_exec(handle_.get(), text.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    fail(code, sql);
  }
}

void SqliteConnection::housekeep() {
  if (!housekeeping_due()) {
    return;
  }
  const bool wait = log_pages_ >= patience_pages_;
  sqlite3_busy_timeout(handle_.get(), wait ? kReaderMilliseconds : 0);
  int in_log = 0;
  int done = 0;
  crash_point("checkpoint.begun");
  const int code = sqlite3_wal_checkpoint_v2(
      handle_.get(), "main", wait ? SQLITE_CHECKPOINT_FULL : SQLITE_CHECKPOINT_PASSIVE, &in_log,
      &done);
  crash_point("checkpoint.done");
  sqlite3_busy_timeout(handle_.get(), kBusyMilliseconds);
  if (code == SQLITE_OK && in_log == done) {
    log_pages_ = 0;  // the next commit begins the log anew
    patience_pages_ = shared_.checkpoint_pages * kPatience;
  } else if (wait && (code & 0xff) == SQLITE_BUSY) {
    patience_pages_ = log_pages_ * 2;
  } else if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
    fail(code, "checkpoint");
  }
}

}  // namespace

SqliteDatabase::SqliteDatabase(const store::StoreOptions& options)
    : options_(options),
      path_(closed_database_path(options.database)),
      lock_(path_ + ".lock", "the database " + path_) {
  if (const std::string half = unfinished_restore_of(path_); std::filesystem::exists(half)) {
    throw DatabaseError(
        "a restore of the database " + path_ +
        " was broken off; do it again. What was there before is beside it, or " +
        "still at its place if there is no \".before-\" file of today: then removing " + half +
        " undoes the restore");
  }
  make_database_file(path_);
}

std::unique_ptr<Connection> SqliteDatabase::connect_writer() {
  return std::make_unique<SqliteConnection>(
      Shared{path_, options_.synchronous, static_cast<int>(options_.checkpoint_pages),
             options_.on_fatal},
      Role::writer);
}

std::unique_ptr<Connection> SqliteDatabase::connect_reader() {
  return std::make_unique<SqliteConnection>(
      Shared{path_, options_.synchronous, static_cast<int>(options_.checkpoint_pages),
             options_.on_fatal},
      Role::reader);
}

std::unique_ptr<Connection> look_at_sqlite(const std::string& database) {
  const std::string path = database_path(database);
  if (!std::filesystem::exists(path)) return nullptr;
  const store::StoreOptions options;
  return std::make_unique<SqliteConnection>(
      Shared{path, options.synchronous, static_cast<int>(options.checkpoint_pages), {}},
      Role::reader);
}

std::string SqliteDatabase::description() const {
  return std::string("SQLite ") + sqlite3_libversion() + " (" + path_ + ")";
}

}  // namespace gatehouse::sql
