// kill -9 at the steps of operators' commands, of pruning and of the signer's process: half of a
// step is as if it had not begun, or is taken up again.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/store/sql/open.h"
#include "tests/restart/stage.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

constexpr int kDied = -1;

std::vector<std::string> points_of(const std::string& group) {
  std::vector<std::string> points;
  for (const std::string& point : crash_points()) {
    if (point.starts_with(group)) points.push_back(point);
  }
  REQUIRE_FALSE(points.empty());
  return points;
}

// `gatehouse ARGUMENTS…` on the folder's config; dies at `point`, if there is one.
Outcome command(const std::string& folder, std::vector<std::string> arguments,
                const std::string& point = "") {
  arguments.insert(arguments.begin(), {"command", point, "1"});
  arguments.insert(arguments.end(), {"--config", folder + "/gatehouse.json"});
  Program program(binary_directory() + "/restart_server", std::move(arguments));
  const int code = program.wait();
  return {.code = code, .printed = program.printed()};
}

// While no server runs.
std::unique_ptr<sql::Database> database_of(const std::string& file) {
  store::StoreOptions options;
  options.database = file;
  return sql::open(options);
}

std::set<std::string> column(const std::string& file, const std::string& sql) {
  const auto database = database_of(file);
  std::set<std::string> values;
  for (const sql::Row& row : database->connect_writer()->query(sql, {})) values.insert(row.text(0));
  return values;
}

int lines_of(const std::string& file) {
  std::ifstream in(file);
  int count = 0;
  for (std::string line; std::getline(in, line);) ++count;
  return count;
}

// Ends a kill that the stage did not deal itself.
void await_kill(Stage& stage) {
  REQUIRE(stage.server().wait(kPatienceEach) == KillableServer::End::killed);
  ++stage.kills;
}

TEST_CASE("kill -9 while issuance is stopped and resumed: what was not answered may be either") {
  const auto begun = SteadyClock::now();
  Stage stage("restart-stop");
  REQUIRE(stage.start());
  RestartLoad load(stage.server(), kPatience, {.clients = 4});
  REQUIRE(await_orders(load, 4));
  stage.kill();
  for (const std::string& point : points_of("issuance.")) {
    CAPTURE(point);
    REQUIRE(stage.start({.point = point}));
    command(stage.path(), {"stop-issuance", "--why", "a test"});
    if (point.starts_with("issuance.resum")) command(stage.path(), {"resume-issuance"});
    await_kill(stage);
    stage.oracle().check_after_kill(load.told());

    REQUIRE(stage.start());
    const Outcome status = command(stage.path(), {"status", "--json"});
    REQUIRE_MESSAGE(status.code == 0, status.printed);
    const bool stopped = !parse_json(status.printed).at("issuance_stopped").empty();
    CHECK(stopped == (point == "issuance.stopped" || point == "issuance.resuming"));
    if (stopped) {
      // Clients finalize, and nothing is signed for them.
      const int before = lines_of(stage.path() + "/signed");
      CHECK(command(stage.path(), {"audit", "verify"}).code == 0);
      CHECK(lines_of(stage.path() + "/signed") == before);
      const Outcome resumed = command(stage.path(), {"resume-issuance"});
      CHECK_MESSAGE(resumed.code == 0, resumed.printed);
    }
    CHECK(await_orders(load, 4));
    stage.kill();
  }
  REQUIRE(stage.start());
  finish("kill -9 while issuance is stopped and resumed", stage, load, begun);
}

TEST_CASE("kill -9 while old orders are pruned: they go, and nothing else does") {
  const auto begun = SteadyClock::now();
  Stage stage("restart-prune");
  REQUIRE(stage.start());
  RestartLoad load(stage.server(), kPatience, {.clients = 4});
  REQUIRE(await_orders(load, 4));
  stage.kill();
  const std::string file = stage.path() + "/gatehouse.db";
  for (const std::string& point : points_of("prune.")) {
    CAPTURE(point);
    {
      const auto database = database_of(file);
      const auto connection = database->connect_writer();
      // Long expired, and nobody finalized it.
      connection->execute(
          "INSERT INTO orders (id, directory, account_id, profile, created_at, expires_at) "
          "SELECT 'old-" +
              point +
              "', directory, account_id, profile, 1, 1 FROM orders "
              "WHERE account_id IS NOT NULL LIMIT 1",
          {});
      connection->execute("UPDATE jobs SET run_at = 0 WHERE kind = 'prune'", {});
    }
    if (stage.start({.point = point})) await_kill(stage);
    stage.oracle().check_after_kill(load.told());
    const bool there = column(file, "SELECT id FROM orders").contains("old-" + point);
    CHECK(there == (point == "prune.removing"));
  }
  REQUIRE(stage.start());
  REQUIRE(await_orders(load, 4));
  finish("kill -9 while old orders are pruned", stage, load, begun);
  CHECK(column(file, "SELECT id FROM orders WHERE expires_at = 1").empty());
}

TEST_CASE(
    "kill -9 during a restore: the server starts with the whole of it, or not until it is done") {
  Stage stage("restart-restore");
  const std::string file = stage.path() + "/gatehouse.db";
  const std::string backup = stage.path() + "/backup.db";
  constexpr const char* kSerials = "SELECT serial FROM certificates";
  constexpr const char* kBefore = "SELECT value FROM state WHERE name = 'before'";
  REQUIRE(stage.start());
  {
    RestartLoad load(stage.server(), kPatience, {.clients = 4, .deactivate = 1000});
    REQUIRE(await_orders(load, 8));
    const Outcome made = command(stage.path(), {"backup", backup});
    REQUIRE_MESSAGE(made.code == 0, made.printed);
    REQUIRE(await_orders(load, 8));
    load.enough();
    while (!load.finished()) std::this_thread::sleep_for(kTick);
  }
  stage.server().begin_stop();
  REQUIRE(stage.server().wait(kPatienceEach) == KillableServer::End::in_order);
  const auto later = column(file, kSerials);
  const auto earlier = column(backup, kSerials);
  REQUIRE(earlier.size() < later.size());
  const std::string torn = stage.path() + "/torn.db";
  std::filesystem::copy_file(backup, torn);
  std::filesystem::resize_file(torn, std::filesystem::file_size(torn) / 2);
  const std::vector<std::string> points = points_of("restore.");
  for (const std::string& point : points) {
    CAPTURE(point);
    // In the write-ahead log alone: a database without it is not what was there before.
    database_of(file)->connect_writer()->execute(
        "INSERT INTO state (name, value) VALUES ('before', ?)", std::array<sql::Value, 1>{point});
    CHECK(command(stage.path(), {"restore", backup}, point).code == kDied);
    if (point == "restore.placed") {
      CHECK(column(file, kSerials) == earlier);
    } else {
      CHECK_THROWS_AS(stage.start(), std::runtime_error);  // what is half done is done again first
      // One that comes to nothing leaves what was there before the first.
      const Outcome refused = command(stage.path(), {"restore", torn});
      CHECK_MESSAGE(refused.code != 0, refused.printed);
      CHECK(column(file, kBefore) == std::set<std::string>{point});
      CHECK(command(stage.path(), {"restore", backup}, point).code == kDied);
      const Outcome again = command(stage.path(), {"restore", backup});
      CHECK_MESSAGE(again.code == 0, again.printed);
    }
    REQUIRE(stage.start());
    stage.kill();
    CHECK(std::ranges::includes(column(file, kSerials), earlier));
    CHECK(column(file, kBefore).empty());
    CHECK(column(file, "PRAGMA integrity_check") == std::set<std::string>{"ok"});
  }
  // What was there before is kept whole beside it, once for each restore that was done.
  std::set<std::string> kept;
  std::vector<std::string> kept_at;
  for (const auto& entry : std::filesystem::directory_iterator(stage.path())) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("gatehouse.db.before-") || name.ends_with("-wal") ||
        name.ends_with("-shm"))
      continue;
    std::ranges::copy(column(entry.path(), kBefore), std::back_inserter(kept_at));
    CHECK(column(entry.path(), "PRAGMA integrity_check") == std::set<std::string>{"ok"});
    for (const std::string& serial : column(entry.path(), kSerials)) kept.insert(serial);
  }
  CHECK(std::ranges::is_permutation(kept_at, points));
  CHECK(std::ranges::includes(kept, later));
}

TEST_CASE("kill -9 during a rotation: the same command takes it up, and one issuer comes of it") {
  for (const std::string& point : points_of("rotate.")) {
    CAPTURE(point);
    // The issuer in use is two days old: a rotation needs no --again.
    ManualClock clock(from_unix(::time(nullptr)) - std::chrono::hours(48));
    const TemporaryFolder home;
    const ServerFolder folder(clock, Json::object(), {.at = home.path()});
    const bool by_request = point == "rotate.requested";
    std::vector<std::string> rotate = {"rotate-issuer"};
    if (by_request) {
      rotate.emplace_back("--csr");
    } else {
      rotate.insert(rotate.end(), {"--root-key", folder.path() + "/ca/root.key"});
    }
    CHECK(command(folder.path(), rotate, point).code == kDied);
    const auto serves = [&] {
      KillableServer server(binary_directory() + "/restart_server", folder.path(),
                            home.path() + "/signed");
      REQUIRE(server.start());
      server.begin_stop();
      CHECK(server.wait(kPatienceEach) == KillableServer::End::in_order);
    };
    serves();
    const Outcome again = command(folder.path(), rotate);
    CHECK_MESSAGE(again.code == (point == "rotate.switched" ? 2 : 0), again.printed);
    serves();
    const Json config = parse_json(read_file(folder.config_file()));
    const bool switched = config.contains("backends");
    CHECK(switched != by_request);
    if (switched) {
      const Json& local = config.at("backends").at("local");
      CHECK(local.at("certificate") == "ca/issuer-2.pem");
      CHECK(local.at("previous").size() == 1);
    }
    CHECK_FALSE(std::filesystem::exists(folder.path() + "/ca/issuer-3.key"));
  }
}

TEST_CASE("a signer that is killed before and after it signs: each order gets one certificate") {
  const auto begun = SteadyClock::now();
  const Json config = parse_json(R"({
    "log": {"level": "error"},
    "backends": {"local": {"type": "local", "certificate": "ca/issuer.pem", "key": "ca/issuer.key",
                           "root": "ca/root.pem", "signer": {"spawn": true}}}})");
  Stage stage("restart-signer", config);
  REQUIRE(stage.start());
  RestartLoad load(stage.server(), kPatience, {.clients = 4});
  REQUIRE(await_orders(load, 4));
  for (const std::string& point : points_of("signer.")) {
    for (const int pass : {1, 5}) {
      CAPTURE(point);
      CAPTURE(pass);
      stage.kill();
      const std::string order = stage.path() + "/kill-signer";
      write_file(order, point + " " + std::to_string(pass), FileAccess::owner_only,
                 ExistingFile::refuse);
      REQUIRE(stage.start());
      CHECK(await_orders(load, 12));
      CHECK_MESSAGE(read_file(order).ends_with(" dead"), "the signer did not die");
      std::filesystem::remove(order);
    }
  }
  finish("the signer killed", stage, load, begun);
}

}  // namespace
}  // namespace gatehouse::testing
