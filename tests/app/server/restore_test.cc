// Backup and restore of a whole installation.
#include "acme-server/app/server/restore.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/store/sql/migrate.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/sql/sqlite_backup.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;

constexpr std::string_view kPki = "http://pki.test";  // ServerFolder's public_url

// An installation with a life before and after its backup.
struct Story {
  Story()
      : early(registered(server)),
        late(registered(server)),
        kept(issued(early, "kept.test")),
        revoked(issued(early, "revoked.test")) {
    sql::backup(server.folder.config().store, backup());
    server.advance(hours(1));
    unknown = issued(early, "unknown.test");
    CHECK(early.revoke(unknown.der, 4).status == 200);
    CHECK(early.revoke(revoked.der, 1).status == 200);
    CHECK(late.post(late.kid, {{"status", "deactivated"}}).status == 200);
    server.run_jobs();
    crl = crl_now();
    write(crl_file(), std::string(crl_octets.begin(), crl_octets.end()));
    std::string log;
    for (const store::AuditRow& row :
         server->store().read([](store::Tx& tx) { return tx.audit().list(0, 100'000); })) {
      log += print_json(store::json_of(row)) + "\n";
    }
    write(log_file(), log);
    server.stop();
  }

  crypto::Certificate issued(AcmeClient& client, const std::string& name) {
    const ClientOrder order = issued_order(server, client, {name});
    return crypto::parse_pem_chain(client.download(order).body).value().at(0);
  }

  // The one CRL there is, as clients get it.
  crypto::Crl crl_now() {
    const std::string url = server->store().read(
        [](store::Tx& tx) { return tx.certificates().list({}, 1).at(0).crl_url; });
    const http::Response response = server.get("public", url.substr(kPki.size()));
    REQUIRE(response.status == 200);
    const ByteView octets = as_bytes(*response.body);
    crl_octets.assign(octets.begin(), octets.end());
    return crypto::parse_crl(crl_octets).value();
  }

  static std::set<std::string> serials_of(const crypto::Crl& list) {
    std::set<std::string> serials;
    for (const crypto::CrlEntry& entry : list.entries) serials.insert(entry.serial);
    return serials;
  }

  app::Restored restore(const std::vector<std::string>& crls,
                        const std::vector<std::string>& logs) {
    return app::restore(server.folder.config(),
                        app::open_sources({.backup = backup(), .crls = crls, .audit_logs = logs}),
                        [this](const config::Config& config) {
                          return std::make_unique<app::Server>(config, server.environment());
                        });
  }

  // The machine is gone, and its database with it.
  void lose_database() const {
    const std::string database = server.folder.config().store.database;
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(database + end);
  }

  static void write(const std::string& path, const std::string& content) {
    write_file(path, content, FileAccess::owner_only, ExistingFile::replace);
  }

  std::string backup() const { return server.folder.path() + "/backup.db"; }

  std::string crl_file() const { return server.folder.path() + "/latest.crl"; }

  std::string log_file() const { return server.folder.path() + "/audit.jsonl"; }

  TestServer server;
  AcmeClient early, late;
  crypto::Certificate kept, revoked, unknown;
  Bytes crl_octets;
  crypto::Crl crl;
};

}  // namespace

TEST_CASE("a restore takes no revocation back and lowers no CRL number, as far as it is told") {
  struct Row {
    bool crl, log;
  };

  for (const Row& row : {Row{true, true}, Row{true, false}, Row{false, true}}) {
    CAPTURE(row.crl);
    CAPTURE(row.log);
    Story story;
    story.lose_database();
    const auto restored =
        story.restore(row.crl ? std::vector{story.crl_file()} : std::vector<std::string>(),
                      row.log ? std::vector{story.log_file()} : std::vector<std::string>());
    CHECK(restored.recovered.revoked == 1);
    CHECK(restored.recovered.revoked_unknown == 1);
    CHECK(restored.recovered.accounts_deactivated == (row.log ? 1 : 0));
    CHECK(restored.recovered.highest_number == story.crl.head.number);
    CHECK_FALSE(restored.recovered.unknown.empty());
    CHECK(restored.kept.empty());

    story.server.clock.set(kNoon);  // a machine whose clock is behind makes no lower number either
    story.server.uptime.reboot();
    story.server.start_again();
    story.server->stops().resume(service::IssuanceStops::AcceptClock::yes, OperatorByUid{0});
    story.server.run_jobs();
    const crypto::Crl after = story.crl_now();
    CHECK(after.head.number > story.crl.head.number);
    CHECK(Story::serials_of(after) == Story::serials_of(story.crl));
    CHECK(Story::serials_of(after) == std::set{story.revoked.serial, story.unknown.serial});
    CHECK(story.early.revoke(story.revoked.der, 1).problem() == "alreadyRevoked");
    // Who was deactivated is, when the log says so.
    const Reply reply = story.late.read(story.late.kid);
    CHECK((reply.status == 401) == row.log);
    CHECK_FALSE(story.server->store().read([](store::Tx& tx) { return tx.audit().why_broken(); }));
    CHECK(issued_order(story.server, story.early, {"again.test"}).status() == "valid");
  }
}

TEST_CASE("a restore asks the database that it replaces, and keeps it") {
  Story story;
  const auto restored = story.restore({}, {});
  CHECK(sql::why_not_whole(restored.kept).empty());
  CHECK(restored.recovered.revoked == 1);
  CHECK(restored.recovered.revoked_unknown == 1);
  CHECK(restored.recovered.accounts_deactivated == 1);
  CHECK(restored.recovered.highest_number == story.crl.head.number);
  story.server.start_again();
  story.server.run_jobs();
  const crypto::Crl after = story.crl_now();
  CHECK(after.head.number > story.crl.head.number);
  CHECK(Story::serials_of(after) == std::set{story.revoked.serial, story.unknown.serial});
  CHECK(story.late.read(story.late.kid).status == 401);
  CHECK_FALSE(story.server->store().read([](store::Tx& tx) { return tx.audit().why_broken(); }));
}

TEST_CASE("the same backup can be restored twice") {
  Story story;
  story.restore({}, {});
  const auto again = story.restore({}, {});
  CHECK(again.recovered.revoked == 1);
  CHECK(again.recovered.revoked_unknown == 1);
}

TEST_CASE("a database that cannot be read is replaced, and said to have told nothing") {
  Story story;
  story.lose_database();
  Story::write(story.server.folder.config().store.database, "no database");
  const auto restored = story.restore({}, {});
  CHECK(restored.recovered.revoked == 0);
  REQUIRE(restored.recovered.unknown.size() == 3);
  CHECK(restored.recovered.unknown.back().find("is not whole") != std::string::npos);
}

TEST_CASE("a backup of another CA or of an older schema is refused, unless it is forced") {
  Story story;
  Story other;
  app::RestoreRequest request{.backup = other.backup(), .crls = {}, .audit_logs = {}};
  const auto restore = [&] {
    return app::restore(story.server.folder.config(), app::open_sources(request),
                        [&](const config::Config& config) {
                          return std::make_unique<app::Server>(config, story.server.environment());
                        });
  };
  CHECK_THROWS_WITH(restore(), doctest::Contains("is of another installation"));
  story.lose_database();
  CHECK_THROWS_WITH(restore(), doctest::Contains("is another CA's"));
  CHECK_FALSE(std::filesystem::exists(story.server.folder.config().store.database));
  request.other_ca = true;
  CHECK_NOTHROW(restore());

  // As if a version had made it that knew one migration less.
  request = {.backup = story.backup(), .crls = {}, .audit_logs = {}, .other_ca = true};
  const int known = sql::embedded_migrations().back().number;
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(request.backup.c_str(), &raw) == SQLITE_OK);
  const std::string forget =
      "DELETE FROM schema_migrations WHERE number = " + std::to_string(known);
  CHECK(sqlite3_exec(raw, forget.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
  CHECK_THROWS_WITH(restore(), doctest::Contains("--force-older-schema"));
}

TEST_CASE("a restore that is told nothing says what it cannot know") {
  Story story;
  story.lose_database();
  const auto restored = story.restore({}, {});
  CHECK(restored.recovered.revoked == 0);
  CHECK(restored.recovered.unknown.size() == 2);
  story.server.start_again();
  CHECK(issued_order(story.server, story.early, {"again.test"}).status() == "valid");
}

TEST_CASE("files that are not what they should be are refused, and the database stays as it is") {
  Story story;
  Story other;
  const std::string bad = story.server.folder.path() + "/bad";
  const std::string log = read_file(story.log_file());
  const auto refused = [&](const std::vector<std::string>& crls,
                           const std::vector<std::string>& logs, const char* why) {
    CHECK_THROWS_WITH_AS(story.restore(crls, logs), doctest::Contains(why), std::runtime_error);
  };
  refused({other.crl_file()}, {}, "is no CRL of an issuer that the config names");
  Story::write(bad, std::string(story.crl_octets.begin(), story.crl_octets.end() - 1));
  refused({bad}, {}, "is not one X.509 CRL");
  refused({}, {other.log_file()}, "another database's");
  Story::write(bad, "{}\n");
  refused({}, {bad}, "is no line of the audit log");
  std::string without = log;
  const std::size_t line = without.find('\n', log.size() / 2);
  without.erase(line, without.find('\n', line + 1) - line);  // one event is missing
  Story::write(bad, without);
  refused({}, {bad}, "does not follow");
  std::string changed = log;
  changed.at(changed.rfind("\"actor\":\"account") + 9) = 'A';
  Story::write(bad, changed);
  refused({}, {bad}, "does not follow");
  Story::write(bad, log.substr(log.rfind('\n', log.size() - 2) + 1));
  refused({}, {bad}, "give the events between them as well");

  story.server.start_again();
  CHECK(Story::serials_of(story.crl_now()).size() == 2);
  CHECK(story.early.revoke(story.unknown.der, 4).problem() == "alreadyRevoked");
}

TEST_CASE("a restore needs the database for itself") {
  Story story;
  story.server.start_again();
  CHECK_THROWS_WITH(story.restore({}, {}), doctest::Contains("is in use by"));
}

}  // namespace gatehouse::testing
