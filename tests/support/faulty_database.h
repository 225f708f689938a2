// FaultyDatabase: a database whose COMMITs fail, or take the process down, when a test says so.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/base/guarded.h"
#include "acme-server/store/sql/database.h"
#include "tests/support/forwarding_database.h"

namespace gatehouse::testing {

enum class Fault {
  none,
  conflict,      // rolled back, SerializationError: the group runs again
  fail_before,   // rolled back, DatabaseError: what a full disk does
  fail_after,    // committed, CommitUnknown: a connection lost at the worst moment
  crash_before,  // the process "dies" with the transaction open: it is rolled back
  crash_after,   // the process "dies" right after the COMMIT, nobody is told
};

// A COMMIT that is about to happen. Numbers begin at 1 and count on through restarts; opening a
// Store commits too (migrations of a new database, then one for its start).
struct CommitPoint {
  std::int64_t number = 0;
};

// What is thrown in a "dead" process, by every call.
class SimulatedCrash : public std::runtime_error {
 public:
  SimulatedCrash() : std::runtime_error("the process has crashed (simulated)") {}
};

// The test's side of it: outlives the databases that follow it, so that the hook, the count and
// whether the process is dead live through a restart. Safe to call from any thread.
class FaultPlan final {
 public:
  using Hook = std::function<Fault(const CommitPoint&)>;

  FaultPlan() = default;

  explicit FaultPlan(Hook hook) { set(std::move(hook)); }

  // Asked before each COMMIT, on the writer's thread. An empty one: none.
  void set(Hook hook) {
    hook_.with([&](Hook& current) { current = std::move(hook); });
  }

  std::int64_t commits() const { return commits_; }

  // From a crash on every call of every connection throws SimulatedCrash, until the test has thrown
  // the Store away and says that the next process starts.
  bool crashed() const { return crashed_; }

  void restart() { crashed_ = false; }

 private:
  friend class FaultyConnection;

  Fault next() {
    const CommitPoint point{++commits_};
    const Hook hook = hook_.with([](const Hook& current) { return current; });
    return hook ? hook(point) : Fault::none;
  }

  void live() const {
    if (crashed_) {
      throw SimulatedCrash();
    }
  }

  mutable Guarded<Hook> hook_;
  std::atomic<std::int64_t> commits_ = 0;
  std::atomic<bool> crashed_ = false;
};

class FaultyConnection final : public ForwardingConnection {
 public:
  FaultyConnection(std::unique_ptr<sql::Connection> inner, FaultPlan& plan)
      : ForwardingConnection(std::move(inner)), plan_(plan) {}

  std::vector<sql::Row> query(std::string_view sql, std::span<const sql::Value> values) override {
    plan_.live();
    return inner().query(sql, values);
  }

  std::int64_t execute(std::string_view sql, std::span<const sql::Value> values) override {
    plan_.live();
    return inner().execute(sql, values);
  }

  void begin_write() override {
    plan_.live();
    inner().begin_write();
  }

  void begin_read() override {
    plan_.live();
    inner().begin_read();
  }

  void savepoint() override {
    plan_.live();
    inner().savepoint();
  }

  void release_savepoint() override {
    plan_.live();
    inner().release_savepoint();
  }

  void rollback_to_savepoint() override {
    plan_.live();
    inner().rollback_to_savepoint();
  }

  void execute_script(std::string_view sql) override {
    plan_.live();
    inner().execute_script(sql);
  }

  void housekeep() override {
    plan_.live();
    inner().housekeep();
  }

  void commit() override;

 private:
  FaultPlan& plan_;
};

inline void FaultyConnection::commit() {
  plan_.live();
  switch (plan_.next()) {
    case Fault::none:
      inner().commit();
      return;
    case Fault::conflict:
      inner().rollback();
      throw sql::SerializationError("a conflict (simulated)");
    case Fault::fail_before:
      inner().rollback();
      throw sql::DatabaseError("the disk is full (simulated)");
    case Fault::fail_after:
      inner().commit();
      throw sql::CommitUnknown("the connection was lost at COMMIT (simulated)");
    case Fault::crash_before:
      inner().rollback();
      plan_.crashed_ = true;
      throw SimulatedCrash();
    case Fault::crash_after:
      inner().commit();
      plan_.crashed_ = true;
      throw SimulatedCrash();
  }
}

// Readers are given out as they are but for a "dead" process. `plan` outlives it.
class FaultyDatabase final : public sql::Database {
 public:
  FaultyDatabase(std::unique_ptr<sql::Database> inner, FaultPlan& plan)
      : inner_(std::move(inner)), plan_(plan) {}

  std::unique_ptr<sql::Connection> connect_writer() override {
    return std::make_unique<FaultyConnection>(inner_->connect_writer(), plan_);
  }

  std::unique_ptr<sql::Connection> connect_reader() override {
    return std::make_unique<FaultyConnection>(inner_->connect_reader(), plan_);
  }

  std::string description() const override { return inner_->description() + ", faulty"; }

 private:
  std::unique_ptr<sql::Database> inner_;
  FaultPlan& plan_;
};

}  // namespace gatehouse::testing
