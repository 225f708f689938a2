// Jobs: the queue is a table, and a job is written in the transaction that makes it necessary.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// Stored as to_string() spells it.
enum class JobKind {
  validate_challenge,
  issue_certificate,
  publish_crl,
  own_certificate,
  maintenance,
  prune
};
std::string_view to_string(JobKind kind);

struct Job {
  std::string id;
  JobKind kind = JobKind::maintenance;
  std::string subject;          // challenge, order, CRL shard…; unique with kind
  std::int64_t generation = 0;  // bumped each time it is enqueued again
  std::int64_t attempts = 0;    // failures (throws) so far
  std::string lease_token;      // identifies the worker in each write that ends the run
  std::string note;             // what a postponed job keeps for its next run, or why it is parked
  Instant claimed;              // when this run was claimed
  AccountId account = {};       // that it works for; empty: the server's own work
};

// A job that waits for a place, whose account takes turns with others.
struct DueJob {
  std::string id;
  AccountId account;
  bool cut_short = false;  // its last run was; the next one needs its full time
  Instant run_at;
};

// Which of the due jobs to look at, so that a look stays short however many there are.
struct DueLimits {
  AccountId after = {};          // accounts behind this one come first, then the others
  std::size_t accounts = 256;    // at most
  std::size_t per_account = 16;  // of each account, at most; as many again that were cut short
};

struct ParkedJob {
  JobKind kind;
  std::string subject, note;
};

// The jobs of one kind.
struct JobCount {
  JobKind kind;
  std::int64_t waiting = 0;  // or running; without parked ones
  Instant next;              // when the first is due, or its lease ends
};

// A job as it is stored.
struct JobState {
  Instant run_at;  // of a leased one: when its lease ends
  std::int64_t attempts = 0;
  bool leased = false, parked = false;
  std::string note;
};

class Jobs {
 public:
  explicit Jobs(sql::Connection& connection) : connection_(connection) {}

  // Enqueues a job for `run_at` (job clock). When it is there already its generation is bumped, and
  // an unleased one that would run later runs at `run_at`. `id` and `account` are for a new row;
  // without an account it is the server's own work, which no account's share bounds.
  void enqueue(std::string_view id, JobKind kind, std::string_view subject, Instant run_at,
               const AccountId& account = {});

  // The same for a job that begins right after the COMMIT: the new row is leased until
  // `lease_until` under `lease_token`, as if it had been claimed at `now`. Nothing when the job is
  // there already: then it is enqueued again as by enqueue(), due at `now`.
  std::optional<Job> enqueue_leased(std::string id, JobKind kind, std::string_view subject,
                                    Instant now, Instant lease_until, std::string_view lease_token,
                                    const AccountId& account = {});

  // The jobs of `kind` due at `now`, oldest first within each account.
  std::vector<DueJob> due(JobKind kind, Instant now, const DueLimits& limits);

  // Leases the job `id`, if it is still due at `now`, until `lease_until` under `lease_token`.
  // Nothing when somebody else has taken it.
  std::optional<Job> claim(std::string_view id, Instant now, Instant lease_until,
                           std::string_view lease_token);

  // Takes up to `limit` due jobs of `kind`, those due longest, and leases them until `lease_until`
  // under `lease_token`, in one statement.
  std::vector<Job> claim_due(JobKind kind, Instant now, std::size_t limit, Instant lease_until,
                             std::string_view lease_token);

  // The five ends of a run. Each returns false when the worker has lost its lease: then it must
  // throw, so that its transaction is rolled back. A job that was enqueued again during the run is
  // due at once after finish() and postpone(); otherwise finish() deletes it, and postpone() has it
  // run at `run_at`. Both reset the count of failures.
  bool finish(const Job& job, Instant now);
  bool postpone(const Job& job, Instant run_at, std::string_view note);
  bool retry(const Job& job, Instant run_at, std::string_view why);  // attempts + 1
  bool park(const Job& job, std::string_view why);  // until an operator says otherwise: unpark()
  // The run does not count: failures stay as they are. Due at `now`, and for a full run only.
  bool cut_short(const Job& job, Instant now, std::string_view why);
  // Extends the lease of a long job.
  bool renew(const Job& job, Instant lease_until);
  // Whether `job`'s lease still holds: for the transaction that writes its result.
  bool holds(const Job& job);

  // When the next unparked job is due; nothing when there is none.
  std::optional<Instant> next_run_at();
  std::vector<ParkedJob> parked();
  // Without kinds that have no jobs.
  std::vector<JobCount> counts();
  // For an operator: makes the parked job due at `run_at`. False when there is none.
  bool unpark(JobKind kind, std::string_view subject, Instant run_at);
  // After the clock was set back: makes every job due that would run, or whose lease would end,
  // after `now`. A worker that still runs finds its lease lost.
  void hasten(Instant now);
  std::optional<JobState> find(JobKind kind, std::string_view subject);
  bool exists(JobKind kind, std::string_view subject);
  // How many of `kind` wait or run.
  std::int64_t count(JobKind kind);

 private:
  void add_due(std::vector<DueJob>& jobs, JobKind kind, bool cut_short, Instant now,
               const DueLimits& limits);

  sql::Connection& connection_;
};

}  // namespace gatehouse::store
