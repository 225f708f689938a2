// Operators' commands by the real program: against a running server, and against none.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "tests/support/acme_client.h"
#include "tests/support/not_run.h"
#include "tests/support/program.h"
#include "tests/support/socket_acme.h"

namespace gatehouse::testing {
namespace {

// A server of `made` that takes commands until this is gone.
class Running {
 public:
  explicit Running(const Installation& made, std::vector<std::string> more = {})
      : server_(arguments(made, std::move(more))) {
    REQUIRE_MESSAGE(server_.prints("server.ready"), server_.printed());
  }

  ~Running() { stop(); }

  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  int stop() {
    if (stopped_) return 0;
    stopped_ = true;
    server_.signal(SIGTERM);
    return server_.wait();
  }

  void kill() {
    stopped_ = true;
    server_.signal(SIGKILL);
    CHECK(server_.wait() == -1);
  }

 private:
  static std::vector<std::string> arguments(const Installation& made,
                                            std::vector<std::string> more) {
    auto all = serve_arguments(made, free_port(), free_port());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  Program server_;
  bool stopped_ = false;
};

std::string socket_of(const Installation& made) {
  return made.home() + "/data/control.sock";
}

Json json_printed(const Outcome& outcome) {
  REQUIRE_MESSAGE(outcome.code == 0, outcome.printed);
  return parse_json(outcome.printed);
}

TEST_CASE("status tells of a running server, and of an installation without one") {
  const Installation made;
  const std::vector<std::string> status = {"status", "--config", made.config()};
  const std::vector<std::string> as_json = {"status", "--json", "--config", made.config()};

  // No server ever ran: there is nothing to tell, and nothing is made.
  const Outcome nothing = run(status);
  CHECK(nothing.code == 2);
  CHECK(nothing.printed.find("start the server first") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(made.home() + "/gatehouse.db"));
  {
    Running server(made);
    struct stat info{};
    REQUIRE(::stat(socket_of(made).c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);

    const Outcome shown = run(status);
    CAPTURE(shown.printed);
    CHECK(shown.code == 0);
    for (const char* part :
         {"server     ready", "CN=Test Root CA", "root CRL ", "the listeners' own certificate",
          "acme.0 on 127.0.0.1:", "control on unix:", "CN=Test Issuing CA", "good until"}) {
      CAPTURE(part);
      CHECK(shown.printed.find(part) != std::string::npos);
    }
    const Json json = json_printed(run(as_json));
    CHECK(json["ready"] == true);
    std::vector<std::string> members;
    for (const auto& item : json.items()) members.push_back(item.key());
    CHECK(members == std::vector<std::string>{
                         "version", "now", "started", "uptime_seconds", "ready", "not_ready",
                         "warnings", "issuance_stopped", "listeners", "directories", "database",
                         "schema", "issuers", "jobs", "parked", "audit", "expiring", "attention"});
    CHECK(run({"status", "--check", "--config", made.config()}).code == 0);
    CHECK(server.stop() == 0);
  }
  CHECK_FALSE(std::filesystem::exists(socket_of(made)));
  const Outcome shown = run(status);
  CHECK(shown.code == 0);
  CHECK(shown.printed.find("not running") != std::string::npos);
  const Outcome check = run({"status", "--check", "--config", made.config()});
  CHECK(check.code == 1);
  CHECK(check.printed == "the server does not run\n");
  const Json json = json_printed(run(as_json));
  CHECK(json["ready"] == false);
  CHECK(json["issuers"][0]["crls"][0]["number"].is_number());
}

TEST_CASE(
    "status --check fails when a person is needed, and a broken database is told without SQL") {
  const Installation made;
  const std::vector<std::string> check = {"status", "--check", "--config", made.config()};
  {
    Running server(made);
    CHECK(run(check).code == 0);
    CHECK(run({"root", "crl", "--directory", made.home(), "--days", "2"}).code == 0);
  }
  {
    Running server(made);
    const Outcome due = run(check);
    CHECK(due.code == 1);
    CHECK(due.printed.starts_with("root CRL "));
    CHECK(due.printed.ends_with("next step: gatehouse root crl, where the root's key is\n"));
  }
  for (const char* end : {"-wal", "-shm"})
    std::filesystem::remove(made.home() + "/gatehouse.db" + end);
  write_file(made.home() + "/gatehouse.db", std::string(8192, 'x'), FileAccess::owner_only,
             ExistingFile::replace);
  const Outcome broken = run({"status", "--config", made.config()});
  CHECK(broken.code == 2);
  CHECK_MESSAGE(broken.printed == "gatehouse: the database " + made.home() +
                                      "/gatehouse.db: file is not a database (SQLite 26)\n",
                broken.printed);
}

TEST_CASE("issuance is stopped and resumed, with a server and without, over its restart") {
  const Installation made;
  const auto with_config = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", made.config()});
    return run(arguments);
  };
  const auto says = [](const Outcome& outcome, const std::string& what) {
    CAPTURE(outcome.printed);
    CHECK(outcome.printed.find(what) != std::string::npos);
  };
  {
    Running server(made);
    CHECK(with_config({"stop-issuance"}).code == 2);  // nobody would know why
    const Outcome stopped = with_config({"stop-issuance", "--why", "the key may be known"});
    CHECK(stopped.code == 0);
    says(stopped, "by operator:" + std::to_string(::geteuid()) + ": the key may be known");
    says(with_config({"stop-issuance", "--why", "once more"}), "was stopped already");
    says(with_config({"status"}), "ISSUANCE STOPPED");
  }
  {
    Running server(made);
    says(with_config({"status"}), "the key may be known");
    const Outcome resumed = with_config({"resume-issuance"});
    CHECK(resumed.code == 0);
    says(resumed, "ended: operator, since ");
    const Json status = json_printed(with_config({"status", "--json"}));
    CHECK(status["issuance_stopped"] == Json::array());
  }
  CHECK(with_config({"stop-issuance", "--why", "no server runs"}).code == 0);
  const Json resumed = json_printed(with_config({"resume-issuance", "--accept-clock", "--json"}));
  CHECK(resumed["ended"].size() == 1);
  CHECK(resumed["stopped"] == Json::array());
}

TEST_CASE("a backup is taken of a running server, and restored when it is stopped") {
  const Installation made;
  const std::string to = made.home() + "/monday.db";
  const auto with_config = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", made.config()});
    return run(arguments);
  };
  {
    Running server(made, {"--set", "store.free_space_floor=0"});
    const Outcome backup = with_config({"backup", to});
    CAPTURE(backup.printed);
    CHECK(backup.code == 0);
    CHECK(backup.printed.starts_with("backed up to " + to));
    const Outcome again = with_config({"backup", to});
    CHECK(again.code == 1);
    CHECK(again.printed.find("is there already") != std::string::npos);
    const Outcome in_use = with_config({"restore", to});
    CHECK(in_use.code == 2);
    CHECK(in_use.printed.find("is in use by process ") != std::string::npos);
    CHECK(with_config({"stop-issuance", "--why", "behind the backup"}).code == 0);
  }
  const Outcome missing = with_config({"restore", made.home() + "/tuesday.db"});
  CHECK(missing.code == 2);
  CHECK(missing.printed.find("there is no such backup") != std::string::npos);
  const Json restored = json_printed(with_config({"restore", to, "--json"}));
  CHECK(restored["revoked"] == 0);
  CHECK(restored["highest_crl_number"].get<std::int64_t>() > 0);
  CHECK(restored["unknown"].empty());  // the database that it replaced told the rest
  CHECK(std::filesystem::exists(restored["kept"].get<std::string>()));
  Running server(made);
  const Json status = json_printed(with_config({"status", "--json"}));
  CHECK(status["ready"] == true);
  CHECK(status["issuance_stopped"] == Json::array());  // it came after the backup
}

TEST_CASE("a socket file that a killed server left is replaced, a live one is not taken") {
  const Installation made;
  {
    Running server(made);
    server.kill();
  }
  CHECK(std::filesystem::exists(socket_of(made)));
  // Nobody answers on it: the command goes on without a server.
  CHECK(run({"status", "--config", made.config()}).code == 0);
  Running server(made);
  CHECK(run({"status", "--config", made.config()}).printed.find("ready") != std::string::npos);

  // Another installation that names the same socket.
  const Installation other;
  const Outcome refused = [&] {
    auto arguments = serve_arguments(other, free_port(), free_port());
    arguments.insert(arguments.end(), {"--set", "control.socket=" + socket_of(made)});
    return run(arguments);
  }();
  CHECK(refused.code == 2);
  CHECK(refused.printed.find("another process listens there") != std::string::npos);
  CHECK(run({"status", "--config", made.config()}).code == 0);
}

TEST_CASE("a command that finds the database taken and no socket says by whom") {
  const Installation made;
  Running server(made, {"--set", "control.socket=elsewhere.sock"});
  const Outcome refused = run({"status", "--config", made.config()});
  CAPTURE(refused.printed);
  CHECK(refused.code == 2);
  CHECK(std::ranges::count(refused.printed, '\n') == 1);
  CHECK(refused.printed.starts_with("gatehouse: the database "));
  CHECK(refused.printed.find("is in use by process ") != std::string::npos);
  CHECK(refused.printed.find("no server answers at " + socket_of(made)) != std::string::npos);
  // Told where the socket is, it finds the server.
  CHECK(run({"status", "--config", made.config(), "--set", "control.socket=elsewhere.sock"}).code ==
        0);
}

TEST_CASE("root commands as the owner of the database, and leaves nothing of its own behind") {
  if (::geteuid() != 0) {
    not_run("it needs root, to be somebody else than the server");
    return;
  }
  constexpr ::uid_t kServer = 12345;
  const Installation made;
  {
    Running server(made);
  }
  const auto everything = [&] {
    std::vector<std::string> paths = {made.folder.path()};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(made.folder.path())) {
      paths.push_back(entry.path().string());
    }
    return paths;
  };
  for (const std::string& path : everything()) {
    REQUIRE(::lchown(path.c_str(), kServer, kServer) == 0);
  }
  const Outcome status = run({"status", "--config", made.config()});
  CHECK_MESSAGE(status.code == 0, status.printed);
  for (const std::string& path : everything()) {
    struct stat info{};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    CHECK_MESSAGE(info.st_uid == kServer, path);
  }
}

TEST_CASE("what hinders a command is one line and exit code 2") {
  const Installation made;
  {
    Running server(made);
  }
  const Outcome missing = run({"status", "--config", made.home() + "/other.json"});
  CHECK(missing.code == 2);
  CHECK(missing.printed.find("other.json") != std::string::npos);
  write_file(socket_of(made), "a file", FileAccess::owner_only, ExistingFile::replace);
  CHECK(run({"status", "--config", made.config()}).code == 0);  // nobody listens on a file
  const Outcome refused = run(serve_arguments(made, free_port(), free_port()));
  CHECK(refused.code == 2);
  CHECK(refused.printed.find("no socket is in the way") != std::string::npos);
}

// The commands of one installation.
struct Operator {
  const Installation& made;

  Outcome operator()(std::vector<std::string> command) const {
    command.insert(command.end(), {"--config", made.config()});
    return run(std::move(command));
  }

  Json json(std::vector<std::string> command) const {
    command.emplace_back("--json");
    return json_printed((*this)(std::move(command)));
  }
};

TEST_CASE("certificates, orders and the audit trail are shown and changed by command") {
  const Installation made;
  const Operator run_command{made};
  std::string serial;
  std::string kept;
  {
    Running server(made);
    const Outcome listed = run_command({"certificate", "list"});
    CAPTURE(listed.printed);
    CHECK(listed.code == 0);
    CHECK(listed.printed.starts_with("SERIAL"));
    CHECK(listed.printed.find("localhost") != std::string::npos);
    const Json own = run_command.json({"certificate", "list", "--expiring-within", "100d"});
    serial = own["serial"].get<std::string>();
    CHECK(run_command({"certificate", "list", "--expires-before", "2026-01-01"})
              .printed.find(serial) == std::string::npos);
    CHECK(run_command({"certificate", "list", "--expiring-within", "soon"}).code == 2);

    const Outcome shown = run_command({"certificate", "show", serial});
    CHECK(shown.printed.find("-----BEGIN CERTIFICATE-----") != std::string::npos);
    CHECK(shown.printed.find("none: the server's own") != std::string::npos);
    const Outcome unknown = run_command({"certificate", "show", "ff"});
    CHECK(unknown.code == 1);
    CHECK(unknown.printed.starts_with("gatehouse: There is no certificate"));
    CHECK(std::ranges::count(unknown.printed, '\n') == 1);

    const Json order = run_command.json({"order", "list"});
    CHECK(order["status"] == "valid");
    const Outcome story = run_command({"order", "show", order["id"].get<std::string>()});
    CAPTURE(story.printed);
    CHECK(story.printed.find("Its certificate ") != std::string::npos);
    CHECK(story.printed.find("certificate.issued") != std::string::npos);
    CHECK(run_command({"order", "resume", order["id"].get<std::string>()}).code == 1);

    const Outcome verified = run_command({"audit", "verify"});
    CHECK(verified.code == 0);
    kept = verified.printed.substr(0, verified.printed.find('\n'));
    CHECK(run_command({"audit", "verify", "--expect", kept}).code == 0);
    CHECK(run_command({"audit", "verify", "--expect", "x"}).code == 2);
    CHECK(run_command({"audit", "show", "--kind", "certificate.issued"})
              .printed.find("certificate.issued") != std::string::npos);
    CHECK(run_command({"account", "list"}).code == 0);
    CHECK(run_command({"account", "deactivate", "none"}).code == 1);
    CHECK(run_command({"certificate", "revoke", serial, "--reason", "boredom"}).code == 2);
  }
  // Without a server the same commands work on the database itself.
  CHECK(run_command({"audit", "verify", "--expect", kept}).code == 0);
  const Outcome revoked = run_command({"certificate", "revoke", serial, "--reason", "superseded"});
  CAPTURE(revoked.printed);
  CHECK(revoked.code == 0);
  CHECK(revoked.printed.find("when the server starts") != std::string::npos);
  CHECK(run_command({"certificate", "revoke", serial}).code == 1);
  const Json event = run_command.json({"audit", "show", "--kind", "certificate.revoked"});
  CHECK(event["actor"] == "operator:" + std::to_string(::geteuid()));
  // The start makes the CRL and a new certificate of its own.
  Running server(made);
  CHECK(run_command.json({"certificate", "list", "--revoked"})["serial"] == serial);
}

TEST_CASE("verify sees that the trail was cut off, or made anew") {
  const Installation made;
  const Operator run_command{made};
  {
    Running server(made);
  }
  const Json verified = run_command.json({"audit", "verify"});
  const std::int64_t last = verified["sequence"].get<std::int64_t>();
  const std::string hash = verified["hash"].get<std::string>();
  const Outcome cut =
      run_command({"audit", "verify", "--expect", std::to_string(last + 1) + ":" + hash});
  CHECK(cut.code == 1);
  CHECK(cut.printed.find("ends before event " + std::to_string(last + 1)) != std::string::npos);
  const Outcome other = run_command(
      {"audit", "verify", "--expect", std::to_string(last) + ":" + std::string(64, '0')});
  CHECK(other.code == 1);
  CHECK(other.printed.find("has another event") != std::string::npos);
}

TEST_CASE("an order that is stuck on DNS says so, with the next try") {
  const Installation made;
  const Operator run_command{made};
  const std::string port = free_port();
  Program server([&] {
    auto arguments = serve_arguments(made, port, free_port());
    // Nobody answers DNS there; the tries are far enough apart to look at one.
    arguments.insert(
        arguments.end(),
        {"--set", R"(resolver={"servers":["127.0.0.1:9"],"timeout":"200ms","tries":1})", "--set",
         R"(validation={"attempts":3,"gap":"60s"})", "--set",
         R"(base_url=https://localhost:)" + port});
    return arguments;
  }());
  REQUIRE_MESSAGE(server.prints("server.ready"), server.printed());
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls(SSL_CTX_new(TLS_client_method()),
                                                              &SSL_CTX_free);
  AcmeClient client(SocketSender({.listener = "acme",
                                  .address = "127.0.0.1",
                                  .port = static_cast<std::uint16_t>(std::stoi(port)),
                                  .unix_path = ""},
                                 tls.get(), "localhost"),
                    "https://localhost:" + port);
  REQUIRE(client.new_account().status == 201);
  const ClientOrder order = client.new_order({"stuck.test"});
  client.respond(order);
  const std::string id = order.url.substr(order.url.rfind('/') + 1);
  REQUIRE(server.prints("challenge.retry"));
  const Outcome shown = run_command({"order", "show", id});
  CAPTURE(shown.printed);
  CHECK(shown.code == 0);
  CHECK(shown.printed.find("stuck.test: http-01 is being proven, 1 try so far; the next one at ") !=
        std::string::npos);
  CHECK(shown.printed.find("the last one said: ") != std::string::npos);
  CHECK(shown.printed.find("(dns)") != std::string::npos);
  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
}

}  // namespace
}  // namespace gatehouse::testing
