// Store: transactions over one database. Concrete on purpose: the seam for tests and drivers is
// sql::Database.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/store/accounts.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/authorizations.h"
#include "acme-server/store/blocked_keys.h"
#include "acme-server/store/certificates.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/issuers.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/orders.h"
#include "acme-server/store/refusals.h"
#include "acme-server/store/retention.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/state.h"
#include "acme-server/store/write_queue.h"

namespace gatehouse::store {

// One transaction. Exists only inside Store::read and Store::write. The table classes are views on
// it: cheap to make, and not to be kept.
class Tx {
 public:
  // The transaction's one time, by the Clock: what protocol and certificates say. Never goes
  // backwards within a process, but for accept_clock().
  Instant now() const { return now_; }

  // The same moment by the job clock: leases, backoff, run_at.
  Instant job_now() const { return job_now_; }

  Accounts accounts() { return Accounts(connection_); }

  Orders orders() { return Orders(connection_); }

  Authorizations authorizations() { return Authorizations(connection_); }

  Certificates certificates() { return Certificates(connection_); }

  Issuances issuances() { return Issuances(connection_); }

  Issuers issuers() { return Issuers(connection_); }

  Jobs jobs() { return Jobs(connection_); }

  Crls crls() { return Crls(connection_); }

  BlockedKeys blocked_keys() { return BlockedKeys(connection_); }

  Refusals refusals() { return Refusals(connection_); }

  Retention retention() { return Retention(connection_); }

  State state() { return State(connection_); }

  // Events of this transaction; sealed into the hash chain at COMMIT.
  Audit audit() { return {connection_, now_, arrivals_, unsealed_}; }

  // Runs `task` on the caller's thread after the COMMIT, and never without one (so not in a read).
  // For wake-ups. `task` does not throw.
  void after_commit(std::function<void()> task) { after_commit_.push_back(std::move(task)); }

 private:
  friend class Store;

  // `unsealed` gets the events of a write; null in a read.
  Tx(sql::Connection& connection, Instant now, Instant job_now, ArrivalCounter& arrivals,
     std::vector<UnsealedEvent>* unsealed)
      : connection_(connection),
        now_(now),
        job_now_(job_now),
        arrivals_(arrivals),
        unsealed_(unsealed) {}

  sql::Connection& connection_;
  Instant now_, job_now_;
  ArrivalCounter& arrivals_;
  std::vector<UnsealedEvent>* unsealed_;
  std::vector<std::function<void()>> after_commit_;
};

// Safe to call from any thread. Everything it is given outlives it.
//
// write(): closures run one after the other, on the thread of the caller that leads (WriteQueue);
// those that wait together share one COMMIT, hence one fsync. After that COMMIT each caller gets
// its own outcome: the value, or the exception that its closure threw, whose changes alone are
// rolled back. When the COMMIT fails, every member of the group gets the DatabaseError. When the
// queue is full, the write fails with a DatabaseError before it begins. A closure touches only its
// Tx, and may run again from its top: after another one of its group threw, or on a database with
// conflicts. A read or write inside a closure is a LogicError.
class Store {
 public:
  struct Options {
    std::size_t readers = 8;         // connections for reading; a read beyond them waits for one
    std::size_t group_limit = 256;   // closures in one COMMIT
    std::size_t queue_limit = 4096;  // closures that wait; a write beyond them fails
    std::chrono::milliseconds batch_delay{};  // how long write_soon() waits at most
    // Called when a write has failed for want of room, on the writer's thread.
    std::function<void()> on_full = {};
  };

  // Opens the connections and applies the migrations. `housekeeper` runs what the database needs
  // done between two groups now and then (a checkpoint): one thread, or inline in tests.
  Store(sql::Database& database, Executor& housekeeper, Clock& clock, Clock& job_clock, Log& log,
        Metrics& metrics, Options options);

  Store(sql::Database& database, Executor& housekeeper, Clock& clock, Clock& job_clock, Log& log,
        Metrics& metrics)
      : Store(database, housekeeper, clock, job_clock, log, metrics, Options{}) {}

  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // One consistent view of the database; writes in it fail.
  template <class Function>
  auto read(Function&& function) -> std::invoke_result_t<Function&, Tx&> {
    using Result = std::invoke_result_t<Function&, Tx&>;
    if constexpr (std::is_void_v<Result>) {
      run_read([&](Tx& tx) { function(tx); });
    } else {
      std::optional<Result> result;
      run_read([&](Tx& tx) { result.emplace(function(tx)); });
      return std::move(result).value();
    }
  }

  // Durable when it returns.
  template <class Function>
  auto write(Function&& function) -> std::invoke_result_t<Function&, Tx&> {
    return write_with(CommitMode::now, function);
  }

  // The same for a write whose answer nobody waits for: it waits up to Options::batch_delay to
  // share the COMMIT of another write.
  template <class Function>
  auto write_soon(Function&& function) -> std::invoke_result_t<Function&, Tx&> {
    return write_with(CommitMode::batched, function);
  }

  // An operator accepts the clocks as they are: Tx::now() and Tx::job_now() go back with them,
  // once.
  void accept_clock();

  // The number of the newest migration applied.
  int schema() const;

 private:
  template <class Function>
  auto write_with(CommitMode mode, Function& function) -> std::invoke_result_t<Function&, Tx&> {
    using Result = std::invoke_result_t<Function&, Tx&>;
    if constexpr (std::is_void_v<Result>) {
      run_write([&](Tx& tx) { function(tx); }, mode);
    } else {
      std::optional<Result> result;
      run_write([&](Tx& tx) { result.emplace(function(tx)); }, mode);
      return std::move(result).value();
    }
  }

  void run_read(const std::function<void(Tx&)>& function);
  void run_write(const std::function<void(Tx&)>& function, CommitMode mode);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::store
