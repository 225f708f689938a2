// RecordingDatabase: remembers every SQL text that was run and the types that were bound to it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/match.h"
#include "acme-server/store/sql/database.h"
#include "tests/support/forwarding_database.h"

namespace gatehouse::testing {

// For each text, for each parameter: the types it was bound with, as PostgreSQL calls them. A null
// fits every type and is not noted. Safe to use from any thread.
class StatementRecord final {
 public:
  using Types = std::vector<std::set<std::string>>;

  void note(std::string_view sql, std::span<const sql::Value> values) {
    statements_.with([&](std::map<std::string, Types>& statements) {
      Types& types = statements[std::string(sql)];
      types.resize(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        std::visit(Match{[](std::monostate) {}, [&](std::int64_t) { types[i].insert("bigint"); },
                         [&](std::string_view) { types[i].insert("text"); }},
                   values[i]);
      }
    });
  }

  std::map<std::string, Types> statements() const {
    return statements_.with([](const std::map<std::string, Types>& all) { return all; });
  }

 private:
  Guarded<std::map<std::string, Types>> statements_;
};

class RecordingDatabase final : public sql::Database {
 public:
  // `record` outlives the connections.
  RecordingDatabase(std::unique_ptr<sql::Database> inner, StatementRecord& record)
      : inner_(std::move(inner)), record_(record) {}

  std::unique_ptr<sql::Connection> connect_writer() override {
    return std::make_unique<Recorder>(inner_->connect_writer(), record_);
  }

  std::unique_ptr<sql::Connection> connect_reader() override {
    return std::make_unique<Recorder>(inner_->connect_reader(), record_);
  }

  std::string description() const override { return inner_->description() + ", recorded"; }

 private:
  class Recorder final : public ForwardingConnection {
   public:
    Recorder(std::unique_ptr<sql::Connection> connection, StatementRecord& record)
        : ForwardingConnection(std::move(connection)), record_(record) {}

    std::vector<sql::Row> query(std::string_view sql, std::span<const sql::Value> values) override {
      record_.note(sql, values);
      return inner().query(sql, values);
    }

    std::int64_t execute(std::string_view sql, std::span<const sql::Value> values) override {
      record_.note(sql, values);
      return inner().execute(sql, values);
    }

   private:
    StatementRecord& record_;
  };

  std::unique_ptr<sql::Database> inner_;
  StatementRecord& record_;
};

}  // namespace gatehouse::testing
