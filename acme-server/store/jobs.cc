#include "acme-server/store/jobs.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

constexpr std::array kKinds = {JobKind::validate_challenge, JobKind::issue_certificate,
                               JobKind::publish_crl,        JobKind::own_certificate,
                               JobKind::maintenance,        JobKind::prune};

JobKind kind_from(const std::string& text) {
  for (const JobKind kind : kKinds) {
    if (text == to_string(kind)) {
      return kind;
    }
  }
  unknown_text("job kind", text);
}

}  // namespace

std::string_view to_string(JobKind kind) {
  switch (kind) {
    case JobKind::validate_challenge:
      return "validate_challenge";
    case JobKind::issue_certificate:
      return "issue_certificate";
    case JobKind::publish_crl:
      return "publish_crl";
    case JobKind::own_certificate:
      return "own_certificate";
    case JobKind::maintenance:
      return "maintenance";
    case JobKind::prune:
      return "prune";
  }
  ACME_CHECK(false);
  return {};
}

void Jobs::enqueue(std::string_view id, JobKind kind, std::string_view subject, Instant run_at,
                   const AccountId& account) {
  connection_.execute(
      "INSERT INTO jobs (id, kind, subject, generation, run_at, attempts, lease_token, note, "
      "parked, account_id) VALUES ($1, $2, $3, 1, $4, 0, NULL, '', 0, $5) "
      "ON CONFLICT (kind, subject) DO UPDATE SET generation = jobs.generation + 1, "
      "run_at = CASE WHEN jobs.lease_token IS NULL AND jobs.run_at > excluded.run_at "
      "THEN excluded.run_at ELSE jobs.run_at END",
      params(id, to_string(kind), subject, run_at, account));
}

std::optional<Job> Jobs::enqueue_leased(std::string id, JobKind kind, std::string_view subject,
                                        Instant now, Instant lease_until,
                                        std::string_view lease_token, const AccountId& account) {
  const bool inserted =
      connection_.execute(
          "INSERT INTO jobs (id, kind, subject, generation, run_at, attempts, lease_token, note, "
          "parked, account_id) VALUES ($1, $2, $3, 1, $4, 0, $5, '', 0, $6) "
          "ON CONFLICT (kind, subject) DO NOTHING",
          params(id, to_string(kind), subject, lease_until, lease_token, account)) == 1;
  if (!inserted) {
    enqueue(id, kind, subject, now, account);
    return std::nullopt;
  }
  return Job{.id = std::move(id),
             .kind = kind,
             .subject = std::string(subject),
             .generation = 1,
             .attempts = 0,
             .lease_token = std::string(lease_token),
             .note = "",
             .claimed = now,
             .account = account};
}

std::vector<DueJob> Jobs::due(JobKind kind, Instant now, const DueLimits& limits) {
  std::vector<DueJob> jobs;
  for (const bool cut_short : {true, false}) add_due(jobs, kind, cut_short, now, limits);
  return jobs;
}

// From account to account by the index: what one of them has enqueued is not read past its limit.
void Jobs::add_due(std::vector<DueJob>& jobs, JobKind kind, bool cut_short, Instant now,
                   const DueLimits& limits) {
  const auto class_of_jobs = std::int64_t{cut_short};
  const auto first_account = [&](std::string_view where, const AccountId& than,
                                 const AccountId& last) -> std::optional<AccountId> {
    const std::vector<sql::Row> rows = connection_.query(
        "SELECT account_id FROM jobs WHERE parked = 0 AND kind = $1 AND cut_short = $2 AND "
        "run_at <= $3 AND " +
            std::string(where) + " ORDER BY account_id LIMIT 1",
        params(to_string(kind), class_of_jobs, now, than, last));
    if (rows.empty()) return std::nullopt;
    return AccountId(rows.front().text(0));
  };
  std::size_t left = limits.accounts;
  const auto add_accounts = [&](std::string_view from, std::string_view next) {
    for (auto account = first_account(from, AccountId(), limits.after); account && left > 0;
         account = first_account(next, *account, limits.after), --left) {
      for (const sql::Row& row : connection_.query(
               "SELECT id, run_at FROM jobs WHERE parked = 0 AND kind = $1 AND "
               "cut_short = $2 AND account_id = $3 AND run_at <= $4 "
               "ORDER BY run_at, id LIMIT $5",
               params(to_string(kind), class_of_jobs, *account, now, limits.per_account))) {
        jobs.push_back({.id = row.text(0),
                        .account = *account,
                        .cut_short = cut_short,
                        .run_at = instant_at(row, 1)});
      }
    }
  };
  add_accounts("account_id >= $4 AND account_id > $5", "account_id > $4 AND account_id > $5");
  add_accounts("account_id >= $4 AND account_id <= $5", "account_id > $4 AND account_id <= $5");
}

std::optional<Job> Jobs::claim(std::string_view id, Instant now, Instant lease_until,
                               std::string_view lease_token) {
  const std::vector<sql::Row> rows = connection_.query(
      "UPDATE jobs SET run_at = $1, lease_token = $2 WHERE id = $3 AND parked = 0 AND run_at <= $4 "
      "RETURNING kind, subject, generation, attempts, note, account_id",
      params(lease_until, lease_token, id, now));
  if (rows.empty()) return std::nullopt;
  const sql::Row& row = rows.front();
  return Job{.id = std::string(id),
             .kind = kind_from(row.text(0)),
             .subject = row.text(1),
             .generation = row.integer(2),
             .attempts = row.integer(3),
             .lease_token = std::string(lease_token),
             .note = row.text(4),
             .claimed = now,
             .account = AccountId(row.text(5))};
}

std::vector<Job> Jobs::claim_due(JobKind kind, Instant now, std::size_t limit, Instant lease_until,
                                 std::string_view lease_token) {
  const std::string claim =
      "UPDATE jobs SET run_at = $1, lease_token = $2 WHERE id IN ("
      "SELECT id FROM jobs WHERE kind = $3 AND parked = 0 AND run_at <= $4 "
      "ORDER BY run_at, id LIMIT $5" +
      std::string(connection_.skip_locked()) +
      ") RETURNING id, subject, generation, attempts, note, account_id";
  std::vector<Job> jobs;
  for (const sql::Row& row :
       connection_.query(claim, params(lease_until, lease_token, to_string(kind), now, limit))) {
    jobs.push_back(Job{.id = row.text(0),
                       .kind = kind,
                       .subject = row.text(1),
                       .generation = row.integer(2),
                       .attempts = row.integer(3),
                       .lease_token = std::string(lease_token),
                       .note = row.text(4),
                       .claimed = now,
                       .account = AccountId(row.text(5))});
  }
  // RETURNING promises no order; one is needed for a run to be repeatable.
  std::ranges::sort(jobs, {}, &Job::id);
  return jobs;
}

bool Jobs::finish(const Job& job, Instant now) {
  const bool deleted =
      connection_.execute("DELETE FROM jobs WHERE id = $1 AND lease_token = $2 AND generation = $3",
                          params(job.id, job.lease_token, job.generation)) == 1;
  return deleted || connection_.execute(
                        "UPDATE jobs SET run_at = $1, attempts = 0, lease_token = NULL, note = '' "
                        "WHERE id = $2 AND lease_token = $3",
                        params(now, job.id, job.lease_token)) == 1;
}

bool Jobs::postpone(const Job& job, Instant run_at, std::string_view note) {
  // Enqueued again during the run: it is due now and must not wait for `run_at`.
  return connection_.execute(
             "UPDATE jobs SET run_at = CASE WHEN generation = $1 THEN CAST($2 AS BIGINT) "
             "ELSE CAST($3 AS BIGINT) END, attempts = 0, lease_token = NULL, note = $4 "
             "WHERE id = $5 AND lease_token = $6",
             params(job.generation, run_at, std::min(run_at, job.claimed), note, job.id,
                    job.lease_token)) == 1;
}

bool Jobs::retry(const Job& job, Instant run_at, std::string_view why) {
  return connection_.execute(
             "UPDATE jobs SET run_at = $1, attempts = attempts + 1, lease_token = NULL, note = $2 "
             "WHERE id = $3 AND lease_token = $4",
             params(run_at, why, job.id, job.lease_token)) == 1;
}

bool Jobs::park(const Job& job, std::string_view why) {
  return connection_.execute(
             "UPDATE jobs SET parked = 1, lease_token = NULL, note = $1 "
             "WHERE id = $2 AND lease_token = $3",
             params(why, job.id, job.lease_token)) == 1;
}

bool Jobs::cut_short(const Job& job, Instant now, std::string_view why) {
  return connection_.execute(
             "UPDATE jobs SET run_at = $1, cut_short = 1, lease_token = NULL, note = $2 "
             "WHERE id = $3 AND lease_token = $4",
             params(now, why, job.id, job.lease_token)) == 1;
}

bool Jobs::unpark(JobKind kind, std::string_view subject, Instant run_at) {
  return connection_.execute(
             "UPDATE jobs SET parked = 0, attempts = 0, run_at = $1 "
             "WHERE kind = $2 AND subject = $3 AND parked = 1",
             params(run_at, to_string(kind), subject)) == 1;
}

void Jobs::hasten(Instant now) {
  connection_.execute("UPDATE jobs SET run_at = $1 WHERE parked = 0 AND run_at > $2",
                      params(now, now));
}

bool Jobs::renew(const Job& job, Instant lease_until) {
  return connection_.execute("UPDATE jobs SET run_at = $1 WHERE id = $2 AND lease_token = $3",
                             params(lease_until, job.id, job.lease_token)) == 1;
}

bool Jobs::holds(const Job& job) {
  return !connection_
              .query("SELECT id FROM jobs WHERE id = $1 AND lease_token = $2",
                     params(job.id, job.lease_token))
              .empty();
}

std::optional<Instant> Jobs::next_run_at() {
  std::optional<Instant> next;
  for (const JobKind kind : kKinds) {  // each a look at the first entry of an index
    const std::vector<sql::Row> rows = connection_.query(
        "SELECT run_at FROM jobs WHERE kind = $1 AND parked = 0 ORDER BY run_at LIMIT 1",
        params(to_string(kind)));
    if (!rows.empty() && (!next || instant_at(rows.front(), 0) < *next)) {
      next = instant_at(rows.front(), 0);
    }
  }
  return next;
}

std::vector<ParkedJob> Jobs::parked() {
  std::vector<ParkedJob> jobs;
  for (const sql::Row& row : connection_.query(
           "SELECT kind, subject, note FROM jobs WHERE parked = 1 ORDER BY kind, subject", {})) {
    jobs.push_back(
        ParkedJob{.kind = kind_from(row.text(0)), .subject = row.text(1), .note = row.text(2)});
  }
  return jobs;
}

std::vector<JobCount> Jobs::counts() {
  std::vector<JobCount> counts;
  for (const sql::Row& row : connection_.query(
           "SELECT kind, MIN(run_at), COUNT(*) FROM jobs WHERE parked = 0 GROUP BY kind "
           "ORDER BY kind",
           {})) {
    counts.push_back(JobCount{
        .kind = kind_from(row.text(0)), .waiting = row.integer(2), .next = instant_at(row, 1)});
  }
  return counts;
}

std::optional<JobState> Jobs::find(JobKind kind, std::string_view subject) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT run_at, attempts, lease_token, parked, note FROM jobs "
      "WHERE kind = $1 AND subject = $2",
      params(to_string(kind), subject));
  if (rows.empty()) {
    return std::nullopt;
  }
  const sql::Row& row = rows.front();
  return JobState{.run_at = instant_at(row, 0),
                  .attempts = row.integer(1),
                  .leased = !row.is_null(2),
                  .parked = row.integer(3) != 0,
                  .note = row.text(4)};
}

bool Jobs::exists(JobKind kind, std::string_view subject) {
  return !connection_
              .query("SELECT id FROM jobs WHERE kind = $1 AND subject = $2",
                     params(to_string(kind), subject))
              .empty();
}

std::int64_t Jobs::count(JobKind kind) {
  return connection_
      .query("SELECT COUNT(*) FROM jobs WHERE kind = $1 AND parked = 0", params(to_string(kind)))
      .front()
      .integer(0);
}

}  // namespace gatehouse::store
