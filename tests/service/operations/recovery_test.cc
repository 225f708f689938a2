#include "acme-server/service/operations/recovery.h"

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "acme-server/crypto/crl.h"
#include "acme-server/service/certificates/crl_job.h"
#include "acme-server/store/sql/open.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {
namespace {

using service::Recovered;
using service::RecoverySources;
using std::chrono::hours;

// A database with a life before and after its backup, which stands beside it.
struct Story {
  Story() : files(services.context()), crls(services.context(), files) {
    services.runner().add(crls, services.lane);
    crls.enqueue_all();
    kept = issue("kept.test");
    revoked = issue("revoked.test");
    services.run_jobs();
    store::StoreOptions options;
    options.database = services.store.folder() + "/test.db";
    options.free_space_floor = 0;
    sql::backup(options, copy());
    services.advance(hours(1));
    unknown = issue("unknown.test");
    revoke(revoked, 1);
    revoke(unknown, 4);
    services.accounts().deactivate(account);
    crls.make_missing();
    crls.enqueue_all();
    services.advance(hours(25));
    services.run_jobs();
    services.store->read([&](store::Tx& tx) {
      const auto shard = services.ca->issuers()->shards.at(0);
      const std::string octets =
          tx.crls().octets(tx.crls().in_force(shard.issuer, shard.url).value());
      crl.assign(octets.begin(), octets.end());
      for (const store::AuditRow& row : tx.audit().list(0, 100'000)) {
        log += print_json(store::json_of(row)) + "\n";
      }
    });
  }

  CertificateRecord issue(const std::string& name) {
    const auto view = services.processing_order(account, {name});
    services.run_jobs();
    const CertificateId id = services.show(account, view).order.certificate.value();
    return services.store->read([&](store::Tx& tx) { return tx.certificates().get(id); }).value();
  }

  // As service::Revocation has it on record.
  void revoke(const CertificateRecord& record, int reason) {
    services.store->write([&](store::Tx& tx) {
      CHECK(tx.certificates().revoke(record.id, {.at = tx.now(), .reason = reason}));
      store::AuditEvent event;
      event.kind = "certificate.revoked";
      event.actor = ServerPrincipal{};
      event.certificate = record.id;
      event.details = {{"issuer", record.issuer.str()},
                       {"serial", record.serial},
                       {"reason", reason},
                       {"key_blocked", reason == 1}};
      tx.audit().append(event);
    });
  }

  std::string copy() const { return services.store.folder() + "/backup.db"; }

  RecoverySources::File crl_file() const {
    return {.name = "latest.crl", .content = std::string(crl.begin(), crl.end())};
  }

  RecoverySources::File log_file() const { return {.name = "audit.jsonl", .content = log}; }

  TestServices services;
  service::PublicFiles files;
  service::CrlJob crls;
  Account account = services.new_account();
  CertificateRecord kept, revoked, unknown;
  Bytes crl;
  std::string log;
};

// The backup of a story, opened as a store of its own.
struct Copy {
  explicit Copy(Story& of) : story(of) {}

  static store::StoreOptions options(const Story& story) {
    store::StoreOptions options;
    options.database = story.copy();
    options.synchronous = store::Synchronous::off;
    return options;
  }

  Recovered recover(const RecoverySources& sources) {
    return store.write([&](store::Tx& tx) {
      return service::recover(tx, story.services.context().backends, sources);
    });
  }

  std::set<std::string> on_crl() {
    std::set<std::string> serials;
    const auto shard = story.services.ca->issuers()->shards.at(0);
    store.read([&](store::Tx& tx) {
      tx.certificates().revoked(shard.issuer, shard.url, tx.now(),
                                [&](const auto& entry) { serials.insert(entry.serial); });
    });
    return serials;
  }

  std::int64_t next_number() {
    const auto shard = story.services.ca->issuers()->shards.at(0);
    return store.read(
        [&](store::Tx& tx) { return tx.crls().next_number(shard.issuer, shard.url, kNoon); });
  }

  Story& story;
  InlineExecutor writer;
  Log log;
  Metrics metrics;
  std::unique_ptr<sql::Database> database = sql::open(options(story));
  store::Store store{*database, writer, story.services.store.clock, story.services.store.job_clock,
                     log,       metrics};
};

}  // namespace

TEST_CASE("what CRLs and the audit log tell is put back, each for itself and both") {
  struct Row {
    bool crl, log;
  };

  for (const Row& row : {Row{true, true}, Row{true, false}, Row{false, true}}) {
    CAPTURE(row.crl);
    CAPTURE(row.log);
    Story story;
    Copy copy(story);
    CHECK(copy.on_crl().empty());  // as a plain copy would have it
    RecoverySources sources;
    if (row.crl) sources.crls = {story.crl_file()};
    if (row.log) sources.audit_logs = {story.log_file()};
    const Recovered done = copy.recover(sources);
    CHECK(done.revoked == 1);
    CHECK(done.revoked_unknown == 1);
    CHECK(done.accounts_deactivated == (row.log ? 1 : 0));
    CHECK(done.keys_blocked == (row.log ? 1 : 0));
    CHECK((done.events > 0) == row.log);
    CHECK_FALSE(done.unknown.empty());
    CHECK(copy.on_crl() == std::set{story.revoked.serial, story.unknown.serial});
    const std::int64_t published = crypto::parse_crl(story.crl)->head.number;
    CHECK(done.highest_number == published);
    CHECK(copy.next_number() == published + 1);  // by a clock that is behind, too
    CHECK_FALSE(copy.store.read([](store::Tx& tx) { return tx.audit().why_broken(); }));
    const auto account =
        copy.store.read([&](store::Tx& tx) { return tx.accounts().get(story.account.id); });
    CHECK((account->status == AccountStatus::deactivated) == row.log);
    CHECK(copy.recover(sources).revoked == 0);  // safe to repeat
    CHECK(copy.on_crl().size() == 2);
  }
}

TEST_CASE("what is not given is said") {
  Story story;
  Copy copy(story);
  const Recovered done = copy.recover({});
  CHECK(done.unknown.size() == 2);
  CHECK(done.highest_number > 0);
  CHECK(copy.next_number() > done.highest_number);
}

// Three orders, and what became of them after a backup: one whose request was sent, one whose
// request was not, and one that had no request yet.
struct Requests {
  explicit Requests(bool repeatable, ScriptedBackend::Step step = ScriptedBackend::Step::issue)
      : services({.repeatable = repeatable}) {
    services.ca->always(step);
    later = services.ready_order(account, {"later.test"});
    sent = services.prepared_order(account, {"sent.test"});
    store::StoreOptions options;
    options.database = services.store.folder() + "/test.db";
    options.free_space_floor = 0;
    sql::backup(options, copy());
    services.run_jobs();
    services.orders().finalize(account, later.order.id, TestKey().csr({"later.test"}));
    services.run_jobs();
    const bool issued = step == ScriptedBackend::Step::issue;
    REQUIRE((services.show(account, sent).status == OrderStatus::valid) == issued);
    REQUIRE((services.show(account, later).status == OrderStatus::valid) == issued);
  }

  // The backup, recovered with or without what was logged since.
  void recover(bool with_log) {
    RecoverySources sources;
    if (with_log) {
      std::string log;
      for (const store::AuditRow& row :
           services.store->read([](store::Tx& tx) { return tx.audit().list(0, 100'000); })) {
        log += print_json(store::json_of(row)) + "\n";
      }
      sources.audit_logs = {{.name = "audit.jsonl", .content = log}};
    }
    store::StoreOptions options;
    options.database = copy();
    database = sql::open(options);
    restored = std::make_unique<store::Store>(*database, writer, services.store.clock,
                                              services.store.job_clock, log_, metrics,
                                              store::Store::Options{});
    done = restored->write(
        [&](store::Tx& tx) { return service::recover(tx, services.context().backends, sources); });
  }

  std::string copy() const { return services.store.folder() + "/backup.db"; }

  store::IssuanceState state_of(const service::OrderView& order) {
    return restored
        ->read([&](store::Tx& tx) { return tx.issuances().all_of(order.order.id).back(); })
        .state;
  }

  bool failed(const service::OrderView& order) {
    return restored->read([&](store::Tx& tx) { return tx.orders().get(order.order.id); })
        ->error.has_value();
  }

  bool tells(const std::string& what) const {
    return std::ranges::any_of(done.unknown, [&](const std::string& sentence) {
      return sentence.find(what) != std::string::npos;
    });
  }

  TestServices services;
  Account account = services.new_account();
  service::OrderView sent, later;
  InlineExecutor writer;
  Log log_;
  Metrics metrics;
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<store::Store> restored;
  Recovered done;
};

TEST_CASE("what was sent to a CA elsewhere since the backup is asked about, and not sent again") {
  for (const bool with_log : {true, false}) {
    CAPTURE(with_log);
    Requests requests(false);
    requests.recover(with_log);
    CHECK(requests.state_of(requests.sent) == store::IssuanceState::submitted);
    CHECK(requests.tells("1 requests to a CA elsewhere"));
    CHECK(requests.failed(requests.later) == with_log);
    CHECK(requests.tells("they have failed") == with_log);
  }
}

TEST_CASE("what a key of ours has signed since the backup is signed again, for the same order") {
  for (const bool with_log : {true, false}) {
    CAPTURE(with_log);
    Requests requests(true);
    requests.recover(with_log);
    CHECK(requests.state_of(requests.sent) == store::IssuanceState::prepared);
    CHECK_FALSE(requests.failed(requests.sent));
    CHECK_FALSE(requests.tells("1 requests to a CA elsewhere"));
    CHECK(requests.failed(requests.later) == with_log);
  }
}

TEST_CASE("a request that the log takes back was not sent") {
  Requests requests(false, ScriptedBackend::Step::not_sent);
  requests.recover(true);
  CHECK(requests.state_of(requests.sent) == store::IssuanceState::prepared);
  CHECK_FALSE(requests.failed(requests.later));
}

TEST_CASE("a file that is not what it should be is refused, and nothing of it is taken over") {
  Story story;
  Story other;
  const auto refused = [&](std::string crl, std::string log, const char* why) {
    CAPTURE(std::string(why));
    Copy copy(story);
    RecoverySources sources;
    if (!crl.empty()) sources.crls = {{.name = "f", .content = std::move(crl)}};
    if (!log.empty()) sources.audit_logs = {{.name = "f", .content = std::move(log)}};
    CHECK_THROWS_WITH_AS(copy.recover(sources), doctest::Contains(why), std::runtime_error);
    CHECK(copy.on_crl().empty());
    CHECK_FALSE(copy.store.read([](store::Tx& tx) { return tx.audit().why_broken(); }));
  };
  refused(other.crl_file().content, "", "is no CRL of an issuer that the config names");
  std::string cut = story.crl_file().content;
  cut.pop_back();
  refused(cut, "", "is not one X.509 CRL");
  std::string flipped = story.crl_file().content;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  refused(flipped, "", "is no CRL of an issuer that the config names");

  const std::string& log = story.log;
  refused("", "{}\n", "f:1: is no line of the audit log");
  refused("", "[]\n", "f:1: is no line of the audit log");
  refused("", other.log, "another database's");
  const std::size_t line = log.find('\n', log.size() / 2);
  std::string without = log;
  without.erase(line, log.find('\n', line + 1) - line);
  refused("", without, "does not follow from the one before it");
  std::string changed = log;
  changed.at(changed.rfind("\"actor\":\"") + 9) = 'X';
  refused("", changed, "does not follow from the one before it");
  refused("", log.substr(log.rfind('\n', log.size() - 2) + 1), "give the events between them");
}

}  // namespace gatehouse::testing
