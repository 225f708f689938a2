// A CA that a program speaks for, from the config to the client: `gatehouse backend`, and ACME.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

std::string example() {
  return source_directory() + "/packaging/examples/exec-openssl-ca";
}

// The CA of the shipped example, in a folder of its own.
struct ProgramCa {
  ProgramCa() {
    const std::string command =
        "CA_DIR=" + path() + " " + example() + " init Corp > /dev/null 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
  }

  std::string path() const { return folder.path() + "/ca"; }

  Json options() const {
    return {{"type", "exec"},
            {"program", {example()}},
            {"anchors", {path() + "/root.pem"}},
            {"environment", {{"CA_DIR", path()}}},
            {"resumes", true},
            {"revokes", true},
            {"checks", true}};
  }

  std::string books() const { return read_file(path() + "/index.txt"); }

  TemporaryFolder folder;
};

// A config in a folder of its own, by which everything is issued by backend corp.
struct Home {
  explicit Home(const Json& corp) {
    const Json config = {
        {"base_url", "https://localhost"},
        {"public_url", "http://localhost"},
        {"backends", {{"corp", corp}}},
        {"profiles", {{"default", {{"backend", "corp"}}}}},
        {"listeners",
         {{"acme", {listener()}}, {"public", Json::array()}, {"operations", Json::array()}}}};
    write_file(file(), print_json_pretty(config), FileAccess::owner_only, ExistingFile::refuse);
  }

  static Json listener() { return {{"address", "127.0.0.1"}, {"port", std::stoi(free_port())}}; }

  std::string file() const { return folder.path() + "/gatehouse.json"; }

  TemporaryFolder folder;
};

// An order for a.test, when its CA has been asked.
ClientOrder finalized(TestServer& server, AcmeClient& client) {
  const ClientOrder order = client.new_order({"a.test"});
  client.respond(order);
  server.run_jobs();
  client.finalize(client.get(order));
  server.run_jobs();
  return client.get(order);
}

TEST_CASE("a server whose CA is a program issues, and its backend is listed, checked and tried") {
  const ProgramCa ca;
  const Home made(ca.options());
  const Outcome checked = run({"check-config", "--config", made.file()});
  CHECK_MESSAGE(checked.code == 0, checked.printed);

  // Its listener's certificate is the CA's first.
  Program server({"serve", "--config", made.file()});
  REQUIRE_MESSAGE(server.prints("server.ready"), server.printed());
  CHECK(std::ranges::count(ca.books(), '\n') == 1);

  const Outcome list = run({"backend", "list", "--json", "--config", made.file()});
  CHECK_MESSAGE(list.code == 0, list.printed);
  CHECK(list.printed.find(R"("name":"corp")") != std::string::npos);
  CHECK(list.printed.find(R"("type":"exec")") != std::string::npos);

  const Outcome check = run({"backend", "check", "corp", "--config", made.file()});
  CHECK_MESSAGE(check.code == 0, check.printed);
  CHECK(check.printed.find("CN = Corp") != std::string::npos);
  CHECK(std::ranges::count(ca.books(), '\n') == 1);

  const Outcome trial =
      run({"backend", "check", "corp", "--enrol", "check.corp.example", "--config", made.file()});
  CHECK_MESSAGE(trial.code == 0, trial.printed);
  CHECK(trial.printed.find("valid") != std::string::npos);
  CHECK(std::ranges::count(ca.books(), '\n') == 2);

  const Outcome resumed = run({"backend", "resume", "corp", "--config", made.file()});
  CHECK(resumed.code == 1);
  CHECK(resumed.printed.find("Backend corp is not stopped.") != std::string::npos);

  std::filesystem::rename(ca.path(), ca.path() + ".away");
  const Outcome away = run({"backend", "check", "corp", "--config", made.file()});
  CHECK(away.code == 1);
  CHECK(away.printed.find("the CA's folder") != std::string::npos);
  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
}

TEST_CASE("check-config says that the program of a backend cannot be run") {
  const ProgramCa ca;
  Json options = ca.options();
  options["program"] = {"/nowhere/issue"};
  const Home made(options);
  const Outcome outcome = run({"check-config", "--config", made.file()});
  CHECK(outcome.code == 2);
  CHECK_MESSAGE(outcome.printed.find("backends.corp.program: /nowhere/issue does not exist") !=
                    std::string::npos,
                outcome.printed);
}

TEST_CASE("an ACME client gets its certificate from a program's CA, and has it revoked there") {
  const ProgramCa ca;
  TestServer server(
      {.config = {{"backends", {{"local", ca.options()}}}}, .start = SystemClock().now()});
  AcmeClient client = registered(server);
  ClientOrder order = client.new_order({"a.test", "b.test"});
  client.respond(order);
  server.run_jobs();
  REQUIRE(client.finalize(client.get(order)).status == 200);
  server.run_jobs();
  order = client.get(order);
  REQUIRE(order.status() == "valid");
  const Reply chain = client.download(order);
  REQUIRE(chain.status == 200);
  const auto certificates = crypto::parse_pem_chain(chain.body);
  REQUIRE(certificates);
  // Leaf and issuing CA: the root is not served.
  REQUIRE(certificates->size() == 2);
  CHECK(certificates->back().subject_name == "CN=Corp");
  CHECK(certificates->front().dns_names == std::vector<std::string>{"a.test", "b.test"});
  CHECK(ca.books().starts_with("V"));

  const Reply revoked = client.post(client.url_of("revokeCert"),
                                    {{"certificate", base64url_encode(certificates->front().der)}});
  CHECK_MESSAGE(revoked.status == 200, revoked.body);
  CHECK(ca.books().starts_with("R"));

  const Reply dated = client.post(
      client.url_of("newOrder"),
      {{"identifiers", AcmeClient::identifiers({"a.test"})}, {"notAfter", "2027-01-01T00:00:00Z"}});
  CHECK(dated.status == 400);
  CHECK(dated.body.find("chooses the dates") != std::string::npos);
}

TEST_CASE("a backend that was stopped for a wrong certificate is not ready, also after a restart") {
  const ProgramCa ca;
  Json options = ca.options();
  options["environment"]["EXTENDED_KEY_USAGE"] = "clientAuth";
  TestServer server({.config = {{"backends", {{"local", options}}}}, .start = SystemClock().now()});
  AcmeClient client = registered(server);
  const ClientOrder order = finalized(server, client);
  CHECK(order.status() == "invalid");
  CHECK(order.json.at("error").at("detail").get<std::string>().find("is withheld") !=
        std::string::npos);
  for (int i = 0; i < 2; ++i) {
    const http::Response ready = server.get("operations", "/readyz");
    CHECK(ready.status == 503);
    CHECK(ready.body->find("backend local is stopped") != std::string::npos);
    server.restart();
  }
}

TEST_CASE("the example takes a wildcard for a name, whatever files its folder has") {
  const ProgramCa ca;
  write_file(ca.path() + "/x.b.test", "", FileAccess::owner_only, ExistingFile::refuse);
  const std::string out = ca.folder.path() + "/out";
  const std::string command =
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -keyout " + out +
      ".key 2> /dev/null | CA_DIR=" + ca.path() +
      " GATEHOUSE_ACTION=submit GATEHOUSE_INTENT=one GATEHOUSE_DNS_NAMES='*.b.test c.test' "
      "GATEHOUSE_IP_ADDRESSES= GATEHOUSE_VALIDITY_SECONDS=86400 " +
      example() + " > " + out + " 2> /dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  const auto chain = crypto::parse_pem_chain(read_file(out));
  REQUIRE(chain);
  CHECK(chain->front().dns_names == std::vector<std::string>{"*.b.test", "c.test"});
}

TEST_CASE("a program that cannot revoke is no revocation") {
  const ProgramCa ca;
  Json options = ca.options();
  options["revokes"] = false;
  TestServer server({.config = {{"backends", {{"local", options}}}}, .start = SystemClock().now()});
  AcmeClient client = registered(server);
  const ClientOrder order = finalized(server, client);
  const auto chain = crypto::parse_pem_chain(client.download(order).body);
  REQUIRE(chain);
  const Reply revoked = client.post(client.url_of("revokeCert"),
                                    {{"certificate", base64url_encode(chain->front().der)}});
  CHECK(revoked.status == 503);
  CHECK(ca.books().starts_with("V"));
}

}  // namespace
}  // namespace gatehouse::testing
