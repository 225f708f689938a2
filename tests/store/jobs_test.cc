#include <doctest/doctest.h>

#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using store::Job;
using store::JobKind;

constexpr JobKind kKind = JobKind::validate_challenge;
constexpr Instant kLeaseEnd = kNoon + seconds(60);

// Claims the one job that must be due.
Job claim_one(store::Tx& tx, Instant now, const std::string& token) {
  const std::vector<Job> jobs = tx.jobs().claim_due(kKind, now, 10, now + seconds(60), token);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs.front().lease_token == token);
  CHECK(jobs.front().claimed == now);
  return jobs.front();
}

void job_is_claimed_when_due(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    CHECK_FALSE(jobs.next_run_at());
    jobs.enqueue("late", kKind, "late", kNoon + seconds(10));
    jobs.enqueue("first", kKind, "first", kNoon - seconds(2));
    jobs.enqueue("second", kKind, "second", kNoon - seconds(1));
    jobs.enqueue("third", kKind, "third", kNoon);
    jobs.enqueue("other", JobKind::publish_crl, "other", kNoon - hours(1));
    CHECK(jobs.next_run_at() == kNoon - hours(1));
    CHECK(jobs.count(kKind) == 4);

    // Those due longest, not more than asked for.
    const std::vector<Job> claimed = jobs.claim_due(kKind, kNoon, 2, kLeaseEnd, "token");
    REQUIRE(claimed.size() == 2);
    CHECK(claimed[0].subject == "first");
    CHECK(claimed[1].subject == "second");
    CHECK(claimed[0].kind == kKind);
    CHECK(claimed[0].attempts == 0);
    CHECK(jobs.claim_due(kKind, kNoon, 2, kLeaseEnd, "token-2").size() == 1);
    CHECK(jobs.claim_due(kKind, kNoon, 2, kLeaseEnd, "token-3").empty());
    CHECK(jobs.claim_due(kKind, kNoon, 0, kLeaseEnd, "token-4").empty());
    CHECK(jobs.claim_due(kKind, kNoon + seconds(10), 2, kLeaseEnd, "token-5").size() == 1);
  });
}

void enqueue_is_idempotent(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon + hours(1));
    jobs.enqueue("2", kKind, "subject", kNoon + hours(2));
    CHECK(jobs.count(kKind) == 1);
    CHECK(jobs.next_run_at() == kNoon + hours(1));
    jobs.enqueue("3", kKind, "subject", kNoon);
    CHECK(jobs.next_run_at() == kNoon);
    const Job job = claim_one(tx, kNoon, "token");
    CHECK(job.id == "1");
    CHECK(job.generation == 3);
    CHECK(jobs.exists(kKind, "subject"));
    CHECK_FALSE(jobs.exists(JobKind::publish_crl, "subject"));
  });
}

void leased_job_is_its_writers(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    const auto job = jobs.enqueue_leased("1", kKind, "subject", kNoon, kLeaseEnd, "token");
    REQUIRE(job);
    CHECK(job->id == "1");
    CHECK(job->kind == kKind);
    CHECK(job->subject == "subject");
    CHECK(job->claimed == kNoon);
    CHECK(jobs.holds(*job));
    CHECK(jobs.claim_due(kKind, kNoon, 10, kLeaseEnd, "other").empty());
    CHECK(jobs.next_run_at() == kLeaseEnd);

    // One that is there is enqueued again, and its lease stays whose it is.
    CHECK_FALSE(jobs.enqueue_leased("2", kKind, "subject", kNoon, kLeaseEnd, "token-2"));
    CHECK(jobs.holds(*job));
    CHECK(jobs.finish(*job, kNoon));
    CHECK(claim_one(tx, kNoon, "token-3").id == "1");
  });
}

void finished_job_is_gone(TestStore& store) {
  store->write([](store::Tx& tx) {
    tx.jobs().enqueue("1", kKind, "subject", kNoon);
    const Job job = claim_one(tx, kNoon, "token");
    CHECK(tx.jobs().holds(job));
    CHECK(tx.jobs().finish(job, kNoon));
    CHECK_FALSE(tx.jobs().exists(kKind, "subject"));
    CHECK_FALSE(tx.jobs().finish(job, kNoon));
  });
}

void enqueue_during_a_run_is_kept(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon);
    const Job first = claim_one(tx, kNoon, "token-1");
    jobs.enqueue("2", kKind, "subject", kNoon);
    // The lease stands: nobody else may run it at the same time.
    CHECK(jobs.claim_due(kKind, kNoon, 10, kLeaseEnd, "token-2").empty());
    CHECK(jobs.finish(first, kNoon + seconds(5)));
    CHECK(jobs.next_run_at() == kNoon + seconds(5));
    const Job second = claim_one(tx, kNoon + seconds(5), "token-3");
    CHECK(second.generation == 2);
    CHECK(jobs.finish(second, kNoon + seconds(6)));
    CHECK(jobs.count(kKind) == 0);
  });
}

void enqueue_during_a_run_beats_postponing(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon);
    const Job first = claim_one(tx, kNoon, "token-1");
    jobs.enqueue("2", kKind, "subject", kNoon);
    CHECK(jobs.postpone(first, kNoon + hours(24), "tomorrow"));
    const Job second = claim_one(tx, kNoon + seconds(1), "token-2");
    CHECK(second.note == "tomorrow");
    CHECK(jobs.postpone(second, kNoon + hours(24), ""));
    CHECK(jobs.next_run_at() == kNoon + hours(24));
  });
}

void postponed_job_remembers(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon);
    CHECK(jobs.retry(claim_one(tx, kNoon, "a"), kNoon + seconds(2), "it threw"));
    CHECK(jobs.claim_due(kKind, kNoon + seconds(1), 10, kLeaseEnd, "b").empty());
    const Job second = claim_one(tx, kNoon + seconds(2), "b");
    CHECK(second.attempts == 1);
    CHECK(jobs.retry(second, kNoon + seconds(4), "it threw again"));
    const Job third = claim_one(tx, kNoon + seconds(4), "c");
    CHECK(third.attempts == 2);
    CHECK(jobs.postpone(third, kNoon + seconds(30), "page 2"));
    const Job fourth = claim_one(tx, kNoon + seconds(30), "d");
    CHECK(fourth.attempts == 0);
    CHECK(fourth.note == "page 2");
  });
}

void stale_worker_changes_nothing(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon);
    const Job slept = claim_one(tx, kNoon, "token-1");
    // Its lease has run out: the job is due again, and another worker takes it.
    const Job current = claim_one(tx, kLeaseEnd, "token-2");
    CHECK_FALSE(jobs.holds(slept));
    CHECK_FALSE(jobs.finish(slept, kLeaseEnd));
    CHECK_FALSE(jobs.postpone(slept, kLeaseEnd, "x"));
    CHECK_FALSE(jobs.retry(slept, kLeaseEnd, "x"));
    CHECK_FALSE(jobs.park(slept, "x"));
    CHECK_FALSE(jobs.renew(slept, kLeaseEnd + hours(1)));
    CHECK(jobs.holds(current));
    CHECK(jobs.next_run_at() == kLeaseEnd + seconds(60));
    CHECK(jobs.finish(current, kLeaseEnd));
  });
}

void lease_can_be_renewed(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon);
    const Job job = claim_one(tx, kNoon, "token");
    CHECK(jobs.renew(job, kNoon + hours(1)));
    CHECK(jobs.claim_due(kKind, kLeaseEnd, 10, kLeaseEnd + seconds(60), "thief").empty());
    CHECK(jobs.finish(job, kLeaseEnd));
  });
}

void start_ends_the_leases_of_the_dead(TestStore& store) {
  constexpr seconds kLease{60};
  store->write([&](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    const auto claim = [&](const std::string& id) {
      jobs.enqueue(id, kKind, id, kNoon);
      return jobs.claim_due(kKind, kNoon, 1, kNoon + kLease, "token").at(0);
    };
    CHECK(jobs.park(claim("parked"), "why"));
    CHECK(jobs.retry(claim("failed"), kNoon, "why"));
    CHECK(jobs.claim_due(kKind, kNoon, 1, kNoon + kLease, "token").at(0).id == "failed");
    jobs.enqueue("later", kKind, "later", kNoon + hours(1));
    CHECK(jobs.next_run_at() == kNoon + kLease);
  });
  const Instant restart = kNoon + seconds(3);
  store.job_clock.set(restart);
  store.reopen();
  store->write([&](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    CHECK(jobs.next_run_at() == restart);
    const std::vector<Job> due = jobs.claim_due(kKind, restart, 9, restart + kLease, "next");
    REQUIRE(due.size() == 1);
    CHECK(due.front().subject == "failed");
    CHECK(due.front().attempts == 1);  // a crash is not counted
    CHECK(due.front().note == "why");
    CHECK(jobs.finish(due.front(), restart));
    CHECK(jobs.next_run_at() == kNoon + hours(1));
    CHECK(jobs.parked().size() == 1);
  });
}

void parked_job_waits_for_the_operator(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon);
    CHECK(jobs.park(claim_one(tx, kNoon, "token"), "ask the CA about serial 0a"));
    CHECK(jobs.count(kKind) == 0);
    CHECK_FALSE(jobs.next_run_at());
    CHECK(jobs.claim_due(kKind, kNoon + hours(99), 10, kNoon + hours(100), "x").empty());
    jobs.enqueue("2", kKind, "subject", kNoon);  // enqueuing it again does not free it
    CHECK(jobs.claim_due(kKind, kNoon + hours(99), 10, kNoon + hours(100), "x").empty());
    CHECK(jobs.exists(kKind, "subject"));
    const std::vector<store::ParkedJob> parked = jobs.parked();
    REQUIRE(parked.size() == 1);
    CHECK(parked.front().kind == kKind);
    CHECK(parked.front().subject == "subject");
    CHECK(parked.front().note == "ask the CA about serial 0a");
    CHECK_FALSE(jobs.unpark(JobKind::publish_crl, "subject", kNoon));
    CHECK(jobs.counts().empty());
    const std::optional<store::JobState> state = jobs.find(kKind, "subject");
    REQUIRE(state);
    CHECK(state->parked);
    CHECK_FALSE(state->leased);
    CHECK(state->note == "ask the CA about serial 0a");
    CHECK_FALSE(jobs.find(kKind, "other"));
    CHECK(jobs.unpark(kKind, "subject", kNoon + hours(1)));
    jobs.enqueue("3", kKind, "later", kNoon + hours(2));
    const std::vector<store::JobCount> counts = jobs.counts();
    REQUIRE(counts.size() == 1);
    CHECK(counts.front().kind == kKind);
    CHECK(counts.front().waiting == 2);
    CHECK(counts.front().next == kNoon + hours(1));
    CHECK_FALSE(jobs.unpark(kKind, "subject", kNoon));
    CHECK(jobs.parked().empty());
    claim_one(tx, kNoon + hours(1), "token-2");
  });
}

void jobs_are_hastened(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("leased", kKind, "leased", kNoon);
    const Job leased = claim_one(tx, kNoon, "token");
    jobs.enqueue("past", kKind, "past", kNoon - hours(2));
    jobs.enqueue("far", kKind, "far", kNoon + hours(24 * 365));
    jobs.enqueue("parked", JobKind::publish_crl, "parked", kNoon);
    CHECK(jobs.park(jobs.claim_due(JobKind::publish_crl, kNoon, 1, kLeaseEnd, "p").front(), "why"));
    jobs.hasten(kNoon - hours(1));
    CHECK(jobs.claim_due(kKind, kNoon - hours(1), 10, kLeaseEnd, "new").size() == 3);
    CHECK_FALSE(jobs.finish(leased, kNoon));
    CHECK(jobs.parked().size() == 1);
  });
}

std::vector<std::string> ids_of(const std::vector<store::DueJob>& jobs) {
  std::vector<std::string> ids;
  for (const store::DueJob& job : jobs) ids.push_back(job.id);
  return ids;
}

void due_jobs_are_of_each_account(TestStore& store) {
  using Ids = std::vector<std::string>;
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    const auto enqueue = [&](const std::string& id, const std::string& account, Instant at) {
      jobs.enqueue(id, kKind, id, at, AccountId(account));
    };
    enqueue("b1", "b", kNoon - hours(3));
    enqueue("b2", "b", kNoon - hours(2));
    enqueue("b3", "b", kNoon - hours(1));
    enqueue("a1", "a", kNoon);
    enqueue("later", "a", kNoon + seconds(1));
    enqueue("own", "", kNoon);
    jobs.enqueue("other", JobKind::issue_certificate, "other", kNoon, AccountId("a"));
    CHECK(ids_of(jobs.due(kKind, kNoon, {})) == Ids{"a1", "b1", "b2", "b3", "own"});
    CHECK(ids_of(jobs.due(kKind, kNoon, {.per_account = 2})) == Ids{"a1", "b1", "b2", "own"});
    // However many accounts there are, a look at a few of them comes round to all.
    CHECK(ids_of(jobs.due(kKind, kNoon, {.accounts = 1})) == Ids{"a1"});
    CHECK(ids_of(jobs.due(kKind, kNoon, {.after = AccountId("a"), .accounts = 2})) ==
          Ids{"b1", "b2", "b3", "own"});
    CHECK(ids_of(jobs.due(kKind, kNoon, {.after = AccountId("b"), .accounts = 1})) == Ids{"own"});

    const std::optional<Job> claimed = jobs.claim("b2", kNoon, kLeaseEnd, "token");
    REQUIRE(claimed);
    CHECK(claimed->account == AccountId("b"));
    CHECK(claimed->subject == "b2");
    CHECK(claimed->kind == kKind);
    CHECK(claimed->claimed == kNoon);
    CHECK(jobs.holds(*claimed));
    CHECK_FALSE(jobs.claim("b2", kNoon, kLeaseEnd, "token-2"));
    CHECK_FALSE(jobs.claim("later", kNoon, kLeaseEnd, "token-2"));
    CHECK(ids_of(jobs.due(kKind, kNoon, {})) == Ids{"a1", "b1", "b3", "own"});
  });
}

void run_cut_short_does_not_count(TestStore& store) {
  store->write([](store::Tx& tx) {
    store::Jobs jobs = tx.jobs();
    jobs.enqueue("1", kKind, "subject", kNoon, AccountId("a"));
    CHECK(jobs.retry(claim_one(tx, kNoon, "a"), kNoon, "it threw"));
    const Job job = claim_one(tx, kNoon, "b");
    CHECK(jobs.cut_short(job, kNoon + seconds(1), "others waited"));
    CHECK_FALSE(jobs.cut_short(job, kNoon + seconds(1), "others waited"));
    CHECK(jobs.due(kKind, kNoon, {}).empty());
    const std::vector<store::DueJob> due = jobs.due(kKind, kNoon + seconds(1), {});
    REQUIRE(due.size() == 1);
    CHECK(due.front().cut_short);
    CHECK(due.front().account == AccountId("a"));
    const Job next = claim_one(tx, kNoon + seconds(1), "c");
    CHECK(next.attempts == 1);
    CHECK(next.note == "others waited");
  });
}

}  // namespace

std::vector<ContractCase> job_cases() {
  return {
      {"due jobs are claimed, those due longest first, each once", job_is_claimed_when_due},
      {"a job written with its lease is nobody else's", leased_job_is_its_writers},
      {"enqueuing a job that waits makes no second one", enqueue_is_idempotent},
      {"a finished job is gone", finished_job_is_gone},
      {"enqueued during its run, the job runs again", enqueue_during_a_run_is_kept},
      {"enqueued during its run, the job is not postponed", enqueue_during_a_run_beats_postponing},
      {"failures are counted until a run ends well; a note is kept", postponed_job_remembers},
      {"a worker that slept past its lease changes nothing", stale_worker_changes_nothing},
      {"due jobs are shown by account, oldest first", due_jobs_are_of_each_account},
      {"a run cut short does not count", run_cut_short_does_not_count},
      {"a lease can be renewed", lease_can_be_renewed},
      {"jobs of a wrong clock are due by the right one", jobs_are_hastened},
      {"a start ends the leases of the dead", start_ends_the_leases_of_the_dead},
      {"a parked job waits for the operator", parked_job_waits_for_the_operator},
  };
}

}  // namespace gatehouse::testing
