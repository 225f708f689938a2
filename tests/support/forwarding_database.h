// ForwardingConnection: passes every call on. What decorators of a database are made of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/store/sql/database.h"

namespace gatehouse::testing {

class ForwardingConnection : public sql::Connection {
 public:
  explicit ForwardingConnection(std::unique_ptr<sql::Connection> inner)
      : inner_(std::move(inner)) {}

  std::vector<sql::Row> query(std::string_view sql, std::span<const sql::Value> values) override {
    return inner_->query(sql, values);
  }

  std::int64_t execute(std::string_view sql, std::span<const sql::Value> values) override {
    return inner_->execute(sql, values);
  }

  void begin_write() override { inner_->begin_write(); }

  void begin_read() override { inner_->begin_read(); }

  void commit() override { inner_->commit(); }

  void rollback() noexcept override { inner_->rollback(); }

  void savepoint() override { inner_->savepoint(); }

  void release_savepoint() override { inner_->release_savepoint(); }

  void rollback_to_savepoint() override { inner_->rollback_to_savepoint(); }

  bool in_transaction() const override { return inner_->in_transaction(); }

  void execute_script(std::string_view sql) override { inner_->execute_script(sql); }

  std::string_view skip_locked() const override { return inner_->skip_locked(); }

  bool housekeeping_due() const override { return inner_->housekeeping_due(); }

  void housekeep() override { inner_->housekeep(); }

 protected:
  sql::Connection& inner() { return *inner_; }

 private:
  std::unique_ptr<sql::Connection> inner_;
};

}  // namespace gatehouse::testing
