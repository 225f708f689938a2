#include "acme-server/store/store.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/migrate.h"
#include "acme-server/store/state.h"
#include "acme-server/store/values.h"
#include "acme-server/store/write_queue.h"

namespace gatehouse::store {
namespace {

// A group whose transaction conflicts with another's is run again this often.
constexpr int kMaxReruns = 10;
// How many processes have opened the database: see ArrivalCounter.
constexpr std::string_view kStarts = "store.starts";

// Whether this thread is inside a closure. One per thread and not per Store: a closure that waits
// for another store's writer is as wrong.
thread_local bool inside_closure =
    false;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): per thread

class InsideClosure final {
 public:
  InsideClosure() { inside_closure = true; }

  ~InsideClosure() { inside_closure = false; }

  InsideClosure(const InsideClosure&) = delete;
  InsideClosure& operator=(const InsideClosure&) = delete;
};

// A clock read through this never goes backwards.
class ForwardClock final {
 public:
  explicit ForwardClock(const Clock& clock) : clock_(clock) {}

  Instant now() {
    const std::int64_t seen = to_unix(clock_.now());
    std::int64_t latest = latest_.load();
    while (latest < seen && !latest_.compare_exchange_weak(latest, seen)) {
    }
    return from_unix(std::max(latest, seen));
  }

  // Goes back to the clock, once.
  void accept() { latest_ = to_unix(clock_.now()); }

 private:
  const Clock& clock_;
  std::atomic<std::int64_t> latest_ = 0;
};

// Why a group as a whole failed: the same for each member, an exception object for each.
std::exception_ptr copy_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const sql::CommitUnknown& unknown) {
    return std::make_exception_ptr(sql::CommitUnknown(std::string(unknown.what())));
  } catch (const sql::StorageFull& full) {
    return std::make_exception_ptr(sql::StorageFull(std::string(full.what())));
  } catch (const sql::DatabaseError& failed) {
    return std::make_exception_ptr(sql::DatabaseError(std::string(failed.what())));
  } catch (...) {
    return error;
  }
}

bool is_full(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const sql::StorageFull&) {
    return true;
  } catch (...) {
    return false;
  }
}

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& failed) {
    return failed.what();
  } catch (...) {
    return "not an exception of the standard library";
  }
}

// Where no other process can have the database open, every lease is a dead process's: its job is
// due now, so that a crash is neither waited out nor counted as a failure. A database that several
// processes use has claims that skip locked rows; there, leases run out.
void free_leases(sql::Connection& connection, Instant now) {
  if (!connection.skip_locked().empty()) {
    return;
  }
  for (const JobCount& jobs : Jobs(connection).counts()) {
    connection.execute(
        "UPDATE jobs SET run_at = $1, lease_token = NULL WHERE kind = $2 AND parked = 0 "
        "AND lease_token IS NOT NULL",
        params(now, to_string(jobs.kind)));
  }
}

// Whether each member of a group has a savepoint to roll back to. Savepoints are expensive (SQLite
// copies each page that a member changes) and needed only when one member of several fails: then
// the group is run again with them.
enum class Isolation { none, savepoints };

struct NeedsSavepoints {};

}  // namespace

struct Store::Impl {
  Impl(sql::Database& given_database, Executor& given_housekeeper, Clock& clock, Clock& job_clock,
       Log& given_log, Metrics& metrics, Options given_options);

  // Readers.
  struct Readers {
    std::vector<std::unique_ptr<sql::Connection>> idle;
    std::size_t open = 0;
  };

  std::unique_ptr<sql::Connection> take_reader();
  void give_back(std::unique_ptr<sql::Connection> reader);
  void read(const std::function<void(Tx&)>& function);

  // The writing connection. All but write() run on whichever thread leads.
  void write(const std::function<void(Tx&)>& function, CommitMode mode);
  void run_group(const WriteGroup& group);
  // One transaction for the group. Throws when it fails as a whole.
  void attempt(const WriteGroup& group, Isolation isolation);
  // True when the member's changes stand; then its events are behind those in `events`.
  bool run_member(WriteMember& member, Isolation isolation, std::vector<UnsealedEvent>& events);
  void fail_group(const WriteGroup& group, const std::exception_ptr& error);
  // What comes between two groups; `next` lets the next one run.
  void rest(const std::function<void()>& next);
  void housekeep();

  void start();

  sql::Database& database;
  Executor& housekeeper;
  Log& log;
  const Options options;
  ForwardClock clock;
  ForwardClock job_clock;
  ArrivalCounter arrivals = 0;
  int schema = 0;
  std::unique_ptr<sql::Connection> connection;  // the writer's
  Guarded<Readers> readers;
  Counter writes, commits, failures;
  Histogram group_size, commit_seconds;
  WriteQueue queue;  // declared last: it must be destroyed first
};

Store::Impl::Impl(sql::Database& given_database, Executor& given_housekeeper, Clock& given_clock,
                  Clock& given_job_clock, Log& given_log, Metrics& metrics, Options given_options)
    : database(given_database),
      housekeeper(given_housekeeper),
      log(given_log),
      options(given_options),
      clock(given_clock),
      job_clock(given_job_clock),
      connection(database.connect_writer()),
      writes(metrics.counter("gatehouse_store_writes_total", "Write transactions asked for.")),
      commits(metrics.counter("gatehouse_store_commits_total", "Groups of writes committed.")),
      failures(metrics.counter("gatehouse_store_failures_total",
                               "Groups of writes that failed as a whole.")),
      group_size(metrics.histogram("gatehouse_store_group_size", "Writes that shared one COMMIT.",
                                   {1, 2, 4, 8, 16, 32, 64, 128, 256})),
      commit_seconds(metrics.histogram(
          "gatehouse_store_commit_seconds", "What a group took from BEGIN to COMMIT.",
          {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5})),
      queue(
          {.group_limit = options.group_limit,
           .queue_limit = options.queue_limit,
           .batch_delay = options.batch_delay},
          metrics.gauge("gatehouse_store_waiting", "Writes that wait for their turn."),
          [this](const WriteGroup& group) { run_group(group); },
          [this](const std::function<void()>& next) { rest(next); }) {
  ACME_CHECK(options.readers >= 1 && options.group_limit >= 1 && options.queue_limit >= 1);
  schema = sql::migrate(*connection, sql::embedded_migrations());
  start();
  give_back(take_reader());  // so that reading fails now if it fails
  log.info("store.opened", {{"database", database.description()}, {"schema", schema}});
}

// What this process is the first to write.
void Store::Impl::start() {
  connection->begin_write();
  try {
    State state(*connection);
    const std::string last = state.get(kStarts).value_or("0");
    std::int64_t starts = 0;
    std::from_chars(last.data(), last.data() + last.size(), starts);
    ++starts;
    state.set(kStarts, std::to_string(starts));
    free_leases(*connection, job_clock.now());
    crash_point("start.leases_freed");
    connection->commit();
    crash_point("start.opened");
    arrivals = starts << kArrivalBits;
  } catch (...) {
    connection->rollback();
    throw;
  }
}

std::unique_ptr<sql::Connection> Store::Impl::take_reader() {
  std::unique_ptr<sql::Connection> reader =
      readers.wait([this](const Readers& r) { return !r.idle.empty() || r.open < options.readers; },
                   [](Readers& r) -> std::unique_ptr<sql::Connection> {
                     if (r.idle.empty()) {
                       ++r.open;
                       return nullptr;
                     }
                     std::unique_ptr<sql::Connection> idle = std::move(r.idle.back());
                     r.idle.pop_back();
                     return idle;
                   });
  if (reader) {
    return reader;
  }
  try {
    return database.connect_reader();
  } catch (...) {
    readers.with([](Readers& r) { --r.open; });
    readers.notify_one();
    throw;
  }
}

void Store::Impl::give_back(std::unique_ptr<sql::Connection> reader) {
  readers.with([&](Readers& r) { r.idle.push_back(std::move(reader)); });
  readers.notify_one();
}

void Store::Impl::read(const std::function<void(Tx&)>& function) {
  ACME_CHECK(!inside_closure);
  std::unique_ptr<sql::Connection> reader = take_reader();
  std::exception_ptr error;
  try {
    reader->begin_read();
    Tx tx(*reader, clock.now(), job_clock.now(), arrivals, nullptr);
    const InsideClosure inside;
    function(tx);
  } catch (...) {
    error = std::current_exception();
  }
  reader->rollback();  // nothing to keep
  give_back(std::move(reader));
  if (error) {
    std::rethrow_exception(std::move(error));
  }
}

void Store::Impl::write(const std::function<void(Tx&)>& function, CommitMode mode) {
  ACME_CHECK(!inside_closure);
  writes.add();
  const auto member = std::make_shared<WriteMember>(function, mode);
  if (!queue.write(member)) {
    throw sql::DatabaseError("the write queue is full: " + std::to_string(options.queue_limit) +
                             " writes wait; the disk is too slow for this load");
  }
  if (member->error) {
    std::rethrow_exception(std::move(member->error));
  }
  for (const std::function<void()>& task : member->after_commit) {
    task();
  }
}

void Store::Impl::run_group(const WriteGroup& group) {
  const auto begun = std::chrono::steady_clock::now();
  Isolation isolation = Isolation::none;
  for (int run = 0;; ++run) {
    try {
      attempt(group, isolation);
      break;
    } catch (const NeedsSavepoints&) {
      connection->rollback();
      isolation = Isolation::savepoints;
      continue;
    } catch (const sql::SerializationError&) {
      connection->rollback();
      if (run < kMaxReruns) {
        continue;
      }
      fail_group(group, std::current_exception());
    } catch (...) {
      connection->rollback();
      fail_group(group, std::current_exception());
    }
    break;
  }
  group_size.observe(static_cast<double>(group.size()));
  commit_seconds.observe(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

void Store::Impl::attempt(const WriteGroup& group, Isolation isolation) {
  connection->begin_write();
  bool anything = false;
  std::vector<UnsealedEvent> events;
  for (const std::shared_ptr<WriteMember>& member : group) {
    anything = run_member(*member, isolation, events) || anything;
    if (member->error && isolation == Isolation::none && group.size() > 1) {
      throw NeedsSavepoints();
    }
  }
  if (!anything) {
    connection->rollback();
    return;
  }
  Audit(*connection, clock.now(), arrivals, nullptr).seal(events);
  crash_point("store.before_commit");
  connection->commit();
  crash_point("store.committed");
  commits.add();
}

bool Store::Impl::run_member(WriteMember& member, Isolation isolation,
                             std::vector<UnsealedEvent>& events) {
  const std::size_t events_before = events.size();
  member.error = nullptr;
  member.after_commit.clear();
  if (isolation == Isolation::savepoints) {
    connection->savepoint();
  }
  try {
    Tx tx(*connection, clock.now(), job_clock.now(), arrivals, &events);
    {
      const InsideClosure inside;
      (*member.function)(tx);
    }
    if (isolation == Isolation::savepoints) {
      connection->release_savepoint();
    }
    member.after_commit = std::move(tx.after_commit_);
    return true;
  } catch (const sql::SerializationError&) {
    throw;
  } catch (...) {
    member.error = std::current_exception();
  }
  events.resize(events_before);
  if (!connection->in_transaction()) {
    // A full disk does that. SQLite has rolled back the whole group, even when the closure caught
    // the failure.
    const std::string why = "the database gave up the transaction: " + text_of(member.error);
    if (is_full(member.error)) {
      throw sql::StorageFull(why);
    }
    throw sql::DatabaseError(why);
  }
  if (isolation == Isolation::savepoints) {
    connection->rollback_to_savepoint();
  }
  if (options.on_full && is_full(member.error)) {
    options.on_full();
  }
  return false;
}

void Store::Impl::fail_group(const WriteGroup& group, const std::exception_ptr& error) {
  failures.add();
  log.error("store.write_failed", {{"writes", group.size()}, {"error", text_of(error)}});
  if (options.on_full && is_full(error)) {
    options.on_full();
  }
  for (const std::shared_ptr<WriteMember>& member : group) {
    member->error = copy_of(error);
    member->after_commit.clear();
  }
}

// The leader's own caller waits, so slow work goes to the housekeeper's thread. When that takes no
// more (during a stop), the next group asks again.
void Store::Impl::rest(const std::function<void()>& next) {
  crash_point("store.answered");
  const bool posted = connection->housekeeping_due() && housekeeper.try_post([this, next] {
    housekeep();
    next();
  });
  if (!posted) {
    next();
  }
}

void Store::Impl::housekeep() {
  try {
    connection->housekeep();
  } catch (const std::exception& error) {
    log.error("store.housekeeping_failed", {{"error", error.what()}});
  }
}

Store::Store(sql::Database& database, Executor& housekeeper, Clock& clock, Clock& job_clock,
             Log& log, Metrics& metrics, Options options)
    : impl_(
          std::make_unique<Impl>(database, housekeeper, clock, job_clock, log, metrics, options)) {}

Store::~Store() = default;

void Store::accept_clock() {
  impl_->clock.accept();
  impl_->job_clock.accept();
}

int Store::schema() const {
  return impl_->schema;
}

void Store::run_read(const std::function<void(Tx&)>& function) {
  impl_->read(function);
}

void Store::run_write(const std::function<void(Tx&)>& function, CommitMode mode) {
  impl_->write(function, mode);
}

}  // namespace gatehouse::store
