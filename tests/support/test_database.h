// A store for tests: a real WAL database in a folder of its own, in memory where the machine has
// that.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "acme-server/base/executor.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "acme-server/store/store_options.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_folder.h"

namespace gatehouse::testing {

// What a test's database is opened with: no waiting for the disk.
inline store::StoreOptions test_store_options(const TemporaryFolder& folder) {
  store::StoreOptions options;
  options.database = folder.path() + "/test.db";
  options.synchronous = store::Synchronous::off;
  return options;
}

// A Store with everything it needs, its writer on the caller's thread.
class TestStore final {
 public:
  using Wrap = std::function<std::unique_ptr<sql::Database>(std::unique_ptr<sql::Database>)>;

  TestStore() : TestStore([](std::unique_ptr<sql::Database> database) { return database; }) {}

  explicit TestStore(const Wrap& wrap)
      : database_(wrap(sql::open(test_store_options(folder_)))),
        store_(
            std::make_unique<store::Store>(*database_, writer_, clock, job_clock, log_, metrics)) {}

  store::Store& operator*() { return *store_; }

  store::Store* operator->() { return store_.get(); }

  // As after a restart of the process: what is not in the database is gone. `meanwhile` has the
  // database to itself.
  void reopen(const std::function<void(sql::Database&)>& meanwhile = [](sql::Database&) {}) {
    store_.reset();
    meanwhile(*database_);
    store_ = std::make_unique<store::Store>(*database_, writer_, clock, job_clock, log_, metrics);
  }

  const std::string& folder() const { return folder_.path(); }

  sql::Database& database() { return *database_; }

  ManualClock clock, job_clock;
  Metrics metrics;

 private:
  TemporaryFolder folder_;
  InlineExecutor writer_;
  Log log_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace gatehouse::testing
