// The program under a company's root, from the request to the second issuer, as docs/operations.md
// tells it.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/company_ca.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

bool says(const Outcome& ended, const std::string& part) {
  return ended.printed.find(part) != std::string::npos;
}

struct Home {
  std::string path(const std::string& name) const { return folder.path() + "/gatehouse/" + name; }

  // On this folder; `arguments` begin with the command.
  std::vector<std::string> here(std::vector<std::string> arguments) const {
    const bool init = arguments.front() == "init";
    arguments.emplace_back(init ? "--directory" : "--config");
    arguments.push_back(init ? folder.path() + "/gatehouse" : path("gatehouse.json"));
    return arguments;
  }

  Outcome run(std::vector<std::string> arguments) const {
    return testing::run(here(std::move(arguments)));
  }

  void must(const std::vector<std::string>& arguments, const std::string& part) const {
    const Outcome ended = run(arguments);
    CHECK_MESSAGE(ended.code == 0, ended.printed);
    CHECK_MESSAGE(says(ended, part), ended.printed);
  }

  // Starts it on a port that was free just now, which issues a certificate of its own; stops it
  // again.
  void serves() const {
    Program server(here({"serve", "--set",
                         R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + free_port() +
                             R"(}],"public":[],"operations":[]})"}));
    CHECK_MESSAGE(server.prints("server.ready"), server.printed());
    server.signal(SIGTERM);
    CHECK_MESSAGE(server.wait() == 0, server.printed());
    CHECK_MESSAGE(server.prints("server.stopped"), server.printed());
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
    const Outcome waiting = home.run({command});
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
  const Outcome young = home.run({"rotate-issuer", "--root-key", home.path("ca/root.key")});
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
    const Outcome refused = home.run(arguments);
    CAPTURE(refused.printed);
    CHECK(refused.code == 2);
    CHECK(refused.printed.starts_with("gatehouse: "));
  }
}

}  // namespace
}  // namespace gatehouse::testing
