// The seam between the store and a database: text, integers and null, nothing else.
//
// SQL is written once, with $1-style parameters, in what SQLite and PostgreSQL have in common: TEXT
// and BIGINT columns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/transient_error.h"

namespace gatehouse::sql {

// A bound parameter: null, BIGINT, TEXT, or a view of a TEXT that outlives the statement's run.
using Value = std::variant<std::monostate, std::int64_t, std::string, std::string_view>;

inline Value null() {
  return std::monostate{};
}

template <class Number>
  requires std::is_integral_v<Number>
Value value_of(Number number) {
  return static_cast<std::int64_t>(number);
}

// One row of a result. Asking for the wrong type or a column that is not there is a LogicError.
class Row {
 public:
  // Columns are added from the left, by drivers; `columns` says how many there will be.
  explicit Row(std::size_t columns) { columns_.reserve(columns); }

  void add_null() { columns_.push_back({.type = Type::null}); }

  void add_integer(std::int64_t integer) {
    columns_.push_back({.type = Type::integer, .integer = integer});
  }

  void add_text(std::string_view text) {
    columns_.push_back({.type = Type::text,
                        .integer = static_cast<std::int64_t>(text.size()),
                        .begin = texts_.size()});
    texts_ += text;
  }

  std::string text(std::size_t column) const { return std::string(view(column)); }

  // Of the row's own memory.
  std::string_view view(std::size_t column) const;
  std::int64_t integer(std::size_t column) const;
  bool is_null(std::size_t column) const;
  std::optional<std::string> optional_text(std::size_t column) const;
  std::optional<std::int64_t> optional_integer(std::size_t column) const;

 private:
  enum class Type : std::uint8_t { null, integer, text };

  // The texts of a row stand behind one another: two allocations for a row, not one for each.
  struct Column {
    Type type = Type::null;
    std::int64_t integer = 0;  // or the length of the text
    std::size_t begin = 0;
  };

  const Column& at(std::size_t column, Type type) const;

  std::vector<Column> columns_;
  std::string texts_;
};

// The database failed: a full disk, a broken file, a lost connection. An operator's matter.
class DatabaseError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// There is no room: a full disk, a quota, a disk gone read-only. Nothing was written; writes go on
// by themselves when there is room again.
class StorageFull : public DatabaseError, public TransientError {
 public:
  using DatabaseError::DatabaseError;
};

// A unique or foreign key said no. Within a transaction that may go on (SQLite's savepoint, or
// before any PostgreSQL statement failed); who inserts what may be there already catches it, or
// better uses ON CONFLICT DO NOTHING.
class ConstraintError : public DatabaseError {
 public:
  using DatabaseError::DatabaseError;
};

// A serialization conflict: the whole transaction must run again from its top. Thrown by drivers
// that have such.
class SerializationError : public DatabaseError {
 public:
  using DatabaseError::DatabaseError;
};

// The connection was lost during COMMIT: whether it took place is unknown. Never run again by
// itself.
class CommitUnknown : public DatabaseError {
 public:
  using DatabaseError::DatabaseError;
};

// One connection. Used by one thread at a time. Statements are prepared once per connection and
// text.
class Connection {
 public:
  virtual ~Connection() = default;

  // Runs `sql` with $1… bound to `parameters` and returns every row.
  virtual std::vector<Row> query(std::string_view sql, std::span<const Value> parameters) = 0;
  // Runs `sql`, returns how many rows it changed.
  virtual std::int64_t execute(std::string_view sql, std::span<const Value> parameters) = 0;

  virtual void begin_write() = 0;
  virtual void begin_read() = 0;
  // Durable when it returns. Throws DatabaseError or CommitUnknown.
  virtual void commit() = 0;
  virtual void rollback() noexcept = 0;

  // A point within a write transaction, to give up what came after it; both ends take it away.
  // False from in_transaction() after a failure means that the database has thrown the whole
  // transaction away.
  virtual void savepoint() = 0;
  virtual void release_savepoint() = 0;
  virtual void rollback_to_savepoint() = 0;
  virtual bool in_transaction() const = 0;

  // Runs several statements without parameters: migrations.
  virtual void execute_script(std::string_view sql) = 0;

  // "" or " FOR UPDATE SKIP LOCKED": the one place where dialects differ.
  virtual std::string_view skip_locked() const = 0;

  // Whether there is anything for housekeep() to do.
  virtual bool housekeeping_due() const = 0;

  // Between two write transactions, when the callers of the last one have their answers: what the
  // database needs done now and then, such as a checkpoint. Throws DatabaseError; nothing is lost
  // by that.
  virtual void housekeep() = 0;
};

// A database that connections can be opened to. Safe to call from any thread.
class Database {
 public:
  virtual ~Database() = default;

  virtual std::unique_ptr<Connection> connect_writer() = 0;
  virtual std::unique_ptr<Connection> connect_reader() = 0;
  // "SQLite 3.40.1 (/var/lib/gatehouse/gatehouse.db)": for logs.
  virtual std::string description() const = 0;
};

}  // namespace gatehouse::sql
