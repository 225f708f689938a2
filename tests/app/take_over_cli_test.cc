// The program under a company's root, from the request to the second issuer, as docs/operations.md
// tells it.
#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/http/socket.h"
#include "tests/support/company_ca.h"
#include "tests/support/paths.h"

namespace gatehouse::testing {
namespace {

struct Ended {
  int code = 0;
  std::string printed;
};

// Runs `gatehouse …` to its end, which a SIGTERM brings on once it has printed `until`.
Ended gatehouse(std::vector<std::string> arguments, const std::string& until = "") {
  arguments.insert(arguments.begin(), binary_directory() + "/gatehouse");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  pid_t pid = -1;
  REQUIRE(::posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Ended ended;
  std::array<char, 4096> piece{};
  bool told = until.empty();
  for (ssize_t got = 0; (got = ::read(ends[0], piece.data(), piece.size())) > 0;) {
    ended.printed.append(piece.data(), static_cast<std::size_t>(got));
    if (!told && ended.printed.find(until) != std::string::npos) {
      told = true;
      ::kill(pid, SIGTERM);
    }
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

bool says(const Ended& ended, const std::string& part) {
  return ended.printed.find(part) != std::string::npos;
}

struct Home {
  std::string path(const std::string& name) const { return folder.path() + "/gatehouse/" + name; }

  // Runs it on this folder; `arguments` begin with the command.
  Ended run(std::vector<std::string> arguments, const std::string& until = "") const {
    const bool init = arguments.front() == "init";
    arguments.emplace_back(init ? "--directory" : "--config");
    arguments.push_back(init ? folder.path() + "/gatehouse" : path("gatehouse.json"));
    return gatehouse(std::move(arguments), until);
  }

  void must(const std::vector<std::string>& arguments, const std::string& part) const {
    const Ended ended = run(arguments);
    CHECK_MESSAGE(ended.code == 0, ended.printed);
    CHECK_MESSAGE(says(ended, part), ended.printed);
  }

  // Starts it on a port that was free just now, which issues a certificate of its own; stops it
  // again.
  void serves() const {
    const std::uint16_t probe =
        http::open_listener({.name = "probe",
                             .address = http::TcpAddress{.address = "127.0.0.1", .port = 0},
                             .tls = {},
                             .origins = {}})
            .address()
            .port;
    const Ended ended = run({"serve", "--set",
                             R"(listeners={"acme":[{"address":"127.0.0.1","port":)" +
                                 std::to_string(probe) + R"(}],"public":[],"operations":[]})"},
                            "server.ready");
    CHECK_MESSAGE(ended.code == 0, ended.printed);
    CHECK_MESSAGE(says(ended, "server.stopped"), ended.printed);
  }

  TemporaryFolder folder;
};

TEST_CASE("an operator takes over a root, extends the CA, adds an alternate chain and rotates") {
  const CompanyCa company;
  const CompanyCa other("Other Root");
  const Home home;
  home.must({"init", "--csr", "--base-url", "https://localhost", "--public-url", "http://localhost",
             "--name", "Corp"},
            "gatehouse init --import");
  for (const std::string command : {"check-config", "serve"}) {
    const Ended waiting = home.run({command});
    CHECK(waiting.code == 2);
    CHECK(says(waiting, "waiting for the issuer's certificate"));
    CHECK(says(waiting, "gatehouse init --import"));
  }

  const std::string csr = home.path("ca/issuer.csr");
  const std::string short_lived =
      company.sign(csr, "issuer", CompanyCa::kIntermediate, "root", 400);
  const std::string root = company.der(company.root(), "root.cer");
  home.must({"init", "--import", company.bag({short_lived}, "issuer.p7b"), "--root", root},
            "SHA-256 fingerprint of the root");
  home.must({"check-config"}, "is good");
  home.serves();

  const std::string renewed = company.bag({company.sign(csr, "renewed")}, "renewed.p7b");
  home.must({"init", "--import", renewed, "--root", root}, "extended");
  home.must({"init", "--import", other.sign(csr, "crossed"), "--root", other.root(), "--alternate"},
            "alternate chain");
  home.serves();

  home.must({"rotate-issuer", "--csr", "--again"}, "issuer-2.csr");
  const std::string next = company.sign(home.path("ca/issuer-2.csr"), "next");
  home.must({"rotate-issuer", "--import", company.bag({next}, "issuer-2.p7b"), "--root", root},
            "Corp Issuing CA 2");
  home.must({"check-config"}, "is good");
  home.serves();
}

TEST_CASE("with a root of one's own the next issuer is one command") {
  const Home home;
  home.must({"init", "--base-url", "https://localhost", "--public-url", "http://localhost"},
            "gatehouse serve");
  home.serves();
  const Ended young = home.run({"rotate-issuer", "--root-key", home.path("ca/root.key")});
  CHECK(young.code == 2);
  CHECK(says(young, "--again"));
  home.must({"rotate-issuer", "--again", "--root-key", home.path("ca/root.key")},
            "Take the root's key offline again");
  home.serves();
}

TEST_CASE("arguments that do not go together are one line and exit code 2") {
  const Home home;
  const std::vector<std::vector<std::string>> rows = {
      {"init", "--csr", "--import", "x.pem"},
      {"init", "--base-url", "https://localhost", "--alternate"},
      {"init"},
      {"rotate-issuer"},
      {"rotate-issuer", "--csr", "--root-key", "x.key"},
      {"rotate-issuer", "--root", "x.pem", "--csr"}};
  for (const std::vector<std::string>& arguments : rows) {
    const Ended refused = home.run(arguments);
    CAPTURE(refused.printed);
    CHECK(refused.code == 2);
    CHECK(refused.printed.starts_with("gatehouse: "));
  }
}

}  // namespace
}  // namespace gatehouse::testing
