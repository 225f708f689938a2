// The program as an operator meets it: arguments, messages, exit codes, signals.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/files.h"
#include "tests/support/not_run.h"
#include "tests/support/program.h"
#include "tests/support/socket_acme.h"

namespace gatehouse::testing {
namespace {

TEST_CASE("help and version answer, and say what there is") {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"serve", "--help"},
                                             {"check-config", "--help"},
                                             {"init", "--help"},
                                             {"root", "crl", "--help"},
                                             {"status", "--help"}}) {
    const Outcome help = run(arguments);
    CAPTURE(help.printed);
    CHECK(help.code == 0);
    CHECK(help.printed.find("EXAMPLE") + help.printed.find("FIRST STEPS") != 2 * std::string::npos);
  }
  CHECK(run({"--version"}).printed ==
        run({"version"}).printed.substr(0, run({"version"}).printed.find('\n') + 1));
  const Outcome version = run({"version"});
  CHECK(version.code == 0);
  CHECK(version.printed.starts_with("gatehouse "));
  CHECK(version.printed.find("SQLite 3.") != std::string::npos);
}

TEST_CASE("wrong arguments are one line and exit code 2") {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {}, {"sevre"}, {"serve", "--port", "1"}, {"init"}, {"root"}}) {
    const Outcome refused = run(arguments);
    CAPTURE(refused.printed);
    CHECK(refused.code == 2);
    CHECK(refused.printed.starts_with("gatehouse: "));
    CHECK(std::ranges::count(refused.printed, '\n') == 1);
  }
}

TEST_CASE("an unknown word is named, with the one that was probably meant") {
  struct Row {
    std::vector<std::string> arguments;
    std::string printed;
  };

  const Row rows[] = {
      {{"stauts"},
       "gatehouse: unknown command \"stauts\"; did you mean \"status\"? gatehouse --help tells "
       "what there is\n"},
      {{"frobnicate"},
       "gatehouse: unknown command \"frobnicate\"; gatehouse --help tells what there is\n"},
      {{"order", "shwo", "ID"},
       "gatehouse: unknown command \"shwo\"; did you mean \"show\"? gatehouse order --help tells "
       "what there is\n"},
      {{"order", "list", "--limit", "3", "--staus=valid"},
       "gatehouse: unknown option \"--staus\"; did you mean \"--status\"? gatehouse order list "
       "--help tells what there is\n"},
      {{"serve", "--port", "1"},
       "gatehouse: unknown option \"--port\"; gatehouse serve --help tells what there is\n"},
      {{"order", "show"},
       "gatehouse: order is required; gatehouse order show --help tells what there is\n"},
  };
  for (const Row& row : rows) {
    const Outcome refused = run(row.arguments);
    CHECK(refused.code == 2);
    CHECK(refused.printed == row.printed);
  }
}

TEST_CASE("the config is found by the variable, then in a folder that is ours, then in /etc") {
  const Installation made;
  const Installation other;
  const auto check = [&](const std::string& variable, const std::string& folder) {
    Program program("sh", {"-c", "cd \"$0\" && " + variable + " exec \"$1\" check-config", folder,
                           binary_directory() + "/gatehouse"});
    program.wait();
    return program.printed();
  };
  const std::string here = "gatehouse.json is good";
  CHECK(check("", made.home()).find(here) != std::string::npos);
  CHECK(check("GATEHOUSE_CONFIG=" + other.config(), made.home()).find(other.config()) !=
        std::string::npos);
  CHECK(check("GATEHOUSE_CONFIG=", made.home()).find(here) != std::string::npos);
  for (const auto& [path, mode] : {std::pair{made.config(), 0660}, {made.home(), 0777}}) {
    CAPTURE(path);
    struct stat before{};
    REQUIRE(::stat(path.c_str(), &before) == 0);
    REQUIRE(::chmod(path.c_str(), static_cast<mode_t>(mode)) == 0);
    CHECK(check("", made.home()).find("/etc/gatehouse/gatehouse.json") != std::string::npos);
    REQUIRE(::chmod(path.c_str(), before.st_mode & 07777) == 0);
  }
}

TEST_CASE("a config that does not open is told by its reason") {
  const Installation made;
  const auto told = [](const std::string& path) {
    return run({"check-config", "--config", path}).printed;
  };
  CHECK(told(made.home() + "/other.json").find("there is no such file") != std::string::npos);
  CHECK(told(made.home()) == "gatehouse: " + made.home() + ": is a folder; name the file in it, " +
                                 "such as " + made.config() + "\n");
  if (::geteuid() != 0) {
    REQUIRE(::chmod(made.config().c_str(), 0) == 0);
    CHECK(told(made.config()).find("cannot be opened: Permission denied; this is user ") !=
          std::string::npos);
    return;
  }
  // Root reads everything: somebody else tries.
  REQUIRE(::chmod(made.folder.path().c_str(), 0755) == 0);
  REQUIRE(::chmod(made.home().c_str(), 0755) == 0);
  REQUIRE(::chmod(made.config().c_str(), 0600) == 0);
  Program program("setpriv",
                  {"--reuid=12345", "--regid=12345", "--clear-groups",
                   binary_directory() + "/gatehouse", "check-config", "--config", made.config()});
  const int code = program.wait();
  if (code == 126 || code == 127) return not_run("another user cannot reach the build folder");
  CHECK(code == 2);
  CHECK(program.printed().find("cannot be opened: Permission denied; this is user 12345") !=
        std::string::npos);
}

TEST_CASE("init makes keys that only their owner reads, and refuses to make them twice") {
  const Installation made;
  for (const char* name : {"/ca/root.key", "/ca/issuer.key"}) {
    struct stat status{};
    REQUIRE(::stat((made.home() + name).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  const std::string key = read_file(made.home() + "/ca/root.key");
  const Outcome again =
      run({"init", "--directory", made.home(), "--base-url", "https://localhost"});
  CHECK(again.code == 2);
  CHECK(read_file(made.home() + "/ca/root.key") == key);
  CHECK(run({"check-config", "--config", made.config()}).code == 0);
  const Outcome crl = run({"root", "crl", "--directory", made.home()});
  CHECK_MESSAGE(crl.code == 0, crl.printed);
}

TEST_CASE("init refuses what makes no sense, by the option's name") {
  const TemporaryFolder folder;
  const std::string home = folder.path() + "/home";
  const std::vector<std::string> least = {"init", "--directory", home, "--base-url",
                                          "https://localhost"};

  struct Row {
    std::vector<std::string> more;
    std::string message;
  };

  const Row rows[] = {{{"--key", "dsa"}, "--key"},
                      {{"--passphrase", "hunter2"}, "file:PATH, credential:NAME or env:NAME"},
                      {{"--permit-ip", "10.0.0.0/99"}, "10.0.0.0/99"}};
  for (const Row& row : rows) {
    std::vector<std::string> arguments = least;
    arguments.insert(arguments.end(), row.more.begin(), row.more.end());
    const Outcome refused = run(arguments);
    CAPTURE(refused.printed);
    CHECK(refused.code == 2);
    CHECK(refused.printed.find(row.message) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(home + "/ca"));
  }
}

TEST_CASE("serve refuses a key that others can read") {
  const Installation made;
  REQUIRE(::chmod((made.home() + "/ca/issuer.key").c_str(), 0644) == 0);
  const Outcome refused = run({"serve", "--config", made.config(), "--set",
                               R"(listeners={"acme":[{"address":"127.0.0.1","port":)" +
                                   free_port() + R"(}],"public":[],"operations":[]})"});
  CAPTURE(refused.printed);
  CHECK(refused.code == 2);
  CHECK(refused.printed.find("issuer.key") != std::string::npos);
}

TEST_CASE("serve serves, reloads at SIGHUP and ends at SIGTERM") {
  const Installation made;
  const std::string port = free_port();
  const std::string operations = free_port();
  const auto serve = [&] { return serve_arguments(made, port, operations); };
  Program server(serve());
  REQUIRE_MESSAGE(server.prints("server.ready"), server.printed());
  for (const char* line :
       {"OpenSSL 3.", "open descriptors", "DNS servers", "http-01 validates on port 80",
        "tls-alpn-01 validates on port 443", "profile default"}) {
    CAPTURE(line);
    CHECK(server.printed().find(line) != std::string::npos);
  }
  Client client = Client::to({.listener = "operations",
                              .address = "127.0.0.1",
                              .port = static_cast<std::uint16_t>(std::stoi(operations)),
                              .unix_path = ""});
  CHECK(client.ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);

  // Another server has the database.
  const Outcome second = run(serve());
  CHECK(second.code == 2);
  // The log's last line, and nothing else: what reads the log as JSON can read all of it.
  const std::string last =
      second.printed.substr(second.printed.rfind('\n', second.printed.size() - 2) + 1);
  CHECK(parse_json(last)["event"] == "server.failed");
  CHECK(parse_json(last)["why"].get<std::string>() != "");

  const std::string good = read_file(made.config());
  write_file(made.config(), "{", FileAccess::owner_only, ExistingFile::replace);
  server.signal(SIGHUP);
  CHECK(server.prints("reload.refused"));
  write_file(made.config(), good, FileAccess::owner_only, ExistingFile::replace);
  server.signal(SIGHUP);
  CHECK(server.prints("reload.done"));
  CHECK(server.prints("operator:" + std::to_string(::geteuid())));

  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
  CHECK(server.printed().find("server.stopped") != std::string::npos);
  for (const std::string_view line : split(trim(server.printed()), '\n')) {
    CHECK_NOTHROW(parse_json(line));
  }

  // The certificate of its own is kept: nothing is issued at the second start.
  Program again(serve());
  REQUIRE_MESSAGE(again.prints("server.ready"), again.printed());
  CHECK(again.printed().find("own_certificate.ordered") == std::string::npos);
  again.signal(SIGINT);
  CHECK(again.wait() == 0);
}

TEST_CASE("SIGTERM ends serve at once while its start waits for something") {
  const Installation made;
  const std::string pipe = made.home() + "/root.crl";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  Program server({"serve", "--config", made.config(), "--set", "backends.local.root_crl=" + pipe,
                  "--set",
                  R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + free_port() +
                      R"(}],"public":[],"operations":[]})"});
  // Once it opens the server is reading it, and nobody writes.
  int end = -1;
  const Deadline patience = Deadline::in(std::chrono::seconds(kPatienceSeconds));
  while ((end = ::open(pipe.c_str(), O_WRONLY | O_NONBLOCK)) < 0) {
    REQUIRE(errno == ENXIO);
    REQUIRE_FALSE(patience.expired());
    std::this_thread::yield();
  }
  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
  CHECK(server.printed().find("server.stopped") != std::string::npos);
  ::close(end);
}

// What the last line with `event` says of `pid`.
pid_t pid_in(const std::string& printed, std::string_view event) {
  const std::size_t pid = printed.find("pid", printed.rfind(event));
  return static_cast<pid_t>(std::stol(printed.substr(printed.find_first_of("0123456789", pid))));
}

TEST_CASE("serve starts its signer, again after it was killed, and takes it along") {
  const Installation made;
  const std::string operations = free_port();
  const std::vector<std::string> serve = {
      "serve",
      "--config",
      made.config(),
      "--set",
      R"(backends.local.signer={"spawn":true})",
      "--set",
      R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + free_port() +
          R"(}],"public":[],"operations":[{"address":"127.0.0.1","port":)" + operations + "}]}"};
  const auto ready = [&] {
    Client client = Client::to({.listener = "operations",
                                .address = "127.0.0.1",
                                .port = static_cast<std::uint16_t>(std::stoi(operations)),
                                .unix_path = ""});
    return client.ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").status;
  };
  Program server(serve);
  // The first start has CRLs and its own certificate signed.
  REQUIRE_MESSAGE(server.prints("server.ready"), server.printed());
  CHECK(ready() == 200);
  for (int round = 0; round < 2; ++round) {
    // All of that line.
    REQUIRE(server.prints("\n", server.printed().rfind("signer.ready")));
    const std::size_t before = server.printed().size();
    REQUIRE(::kill(pid_in(server.printed(), "signer.ready"), SIGKILL) == 0);
    REQUIRE(server.prints("signer.ended", before));
    REQUIRE(server.prints("signer.ready", before));
    CHECK(ready() == 200);
  }
  server.signal(SIGTERM);
  // The signer writes to the same pipe: its end is there when both are gone.
  CHECK(server.wait() == 0);

  Program again(serve);
  REQUIRE_MESSAGE(again.prints("server.ready"), again.printed());
  again.signal(SIGKILL);
  CHECK(again.wait() == -1);
}

}  // namespace
}  // namespace gatehouse::testing
