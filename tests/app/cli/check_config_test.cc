// `gatehouse check-config`, and what serve says of a config that is wrong.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>

#include "acme-server/base/files.h"
#include "acme-server/http/socket.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

TEST_CASE("a wrong config is told with file, path and range, by check-config and serve alike") {
  const Installation made;

  struct Row {
    std::string setting, message;
  };

  const Row rows[] = {
      {"validators.http01.port=70000",
       "gatehouse: gatehouse.json: validators.http01.port: 70000 is not a port (1..65535)\n"},
      {"profiles.default.validity=90 days", "gatehouse: gatehouse.json: profiles.default.validity"},
      {"profiles.default.challenge_types=[\"carrier-pigeon-01\"]", "carrier-pigeon-01"},
      {"backends.local.type=abacus", "backends.local.type"},
      {"no_such=1", "no_such"},
      {"nonsense", "--set nonsense"},
  };
  for (const Row& row : rows) {
    for (const std::string command : {"check-config", "serve"}) {
      const Outcome refused = run({command, "--config", made.config(), "--set", row.setting});
      CAPTURE(command);
      CAPTURE(refused.printed);
      CHECK(refused.code == 2);
      CHECK(refused.printed.starts_with("gatehouse: "));
      CHECK(refused.printed.find(row.message) != std::string::npos);
      CHECK(std::ranges::count(refused.printed, '\n') == 1);
    }
  }
  for (const std::string command : {"check-config", "serve"}) {
    const Outcome refused =
        run({command, "--config", made.config(), "--set", "base_url=https://acme_1.corp.example"});
    CHECK(refused.code == 2);
    CHECK(refused.printed.find("gatehouse: gatehouse.json: base_url: the server's own certificate "
                               "cannot name it") != std::string::npos);
  }
  const Outcome missing = run({"serve", "--config", made.home() + "/other.json"});
  CHECK(missing.code == 2);
  CHECK(missing.printed.find("other.json") != std::string::npos);
}

TEST_CASE("check-config tells every mistake with its line, and serve the first") {
  const Installation made;
  const std::string file = made.home() + "/faulty.json";
  const std::string text = R"({
  "base_url": "https://localhost",
  "log": {"level": "loud"},
  "validators": {
    "http01": {"port": 70000}
  },
  "profiles": {"default": {
    "validity": 90,
    "challenge_types": ["carrier-pigeon-01"]
  }},
  "backends": {
    "local": {"type": "abacus"}
  },
  "no_such": 1
})";
  write_file(file, text, FileAccess::owner_only, ExistingFile::refuse);
  const Outcome checked = run({"check-config", "--config", file});
  CAPTURE(checked.printed);
  CHECK(checked.code == 2);

  struct Fault {
    std::string_view beginning, end;
  };

  const Fault faults[] = {
      {"gatehouse: faulty.json: log.level: \"loud\" is none of", " (line 3)"},
      {"gatehouse: faulty.json: validators.http01.port: 70000 is not a port (1..65535)",
       " (line 5)"},
      {"gatehouse: faulty.json: profiles.default.challenge_types: there is no validator for",
       " (line 9)"},
      {"gatehouse: faulty.json: backends.local.type: \"abacus\" is no type of backend",
       " (line 12)"},
      {"gatehouse: faulty.json: no_such is not a known option", " (line 14)"}};
  CHECK(std::ranges::count(checked.printed, '\n') == std::ssize(faults));
  std::string_view rest = checked.printed;
  for (const Fault& fault : faults) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    CHECK(line.starts_with(fault.beginning));
    CHECK(line.ends_with(fault.end));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  const Outcome served = run({"serve", "--config", file});
  CHECK(served.code == 2);
  CHECK(served.printed.starts_with("gatehouse: faulty.json: no_such is not a known option"));
  CHECK(std::ranges::count(served.printed, '\n') == 1);
}

TEST_CASE("check-config lists what the config names, and says what is wrong with it") {
  const Installation made;
  const std::string port = free_port();
  const auto checked = [&](const std::string& listener) {
    return run({"check-config", "--config", made.config(), "--set",
                R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + port + listener +
                    R"(}],"public":[],"operations":[]})"});
  };
  const auto says = [](const Outcome& outcome, const std::string& text) {
    return outcome.printed.find(text) != std::string::npos;
  };
  const Outcome good = checked("");
  CAPTURE(good.printed);
  CHECK(good.code == 0);
  CHECK(says(good,
             "\nbackends.local     good           its key is the issuer's; O=Test, CN=Test Issuing "
             "CA, until "));
  CHECK(says(good, "\nlisteners.acme[0]  good           port " + port + " is free"));
  CHECK(says(good, "\nstore.path         good           "));
  CHECK(says(good, "gatehouse.db is not there; serve makes it"));
  CHECK(says(good, "\nresolver           not looked at  no DNS server was asked"));
  CHECK_FALSE(std::filesystem::exists(made.home() + "/gatehouse.db"));

  SUBCASE("a port in use may be free later") {
    const auto other = http::open_listener(
        {.name = "other",
         .address = http::TcpAddress{.address = "127.0.0.1",
                                     .port = static_cast<std::uint16_t>(std::stoi(port))},
         .tls = {},
         .origins = {}});
    const Outcome taken = checked("");
    CAPTURE(taken.printed);
    CHECK(taken.code == 1);
    CHECK(says(taken, "gatehouse: listeners.acme[0]: 127.0.0.1, port " + port +
                          ": Address already in use; ss -ltnp tells whose it is"));
    CHECK_FALSE(says(taken, "is good"));
  }
  SUBCASE("a key that others can read, and a listener's files that are not there") {
    REQUIRE(::chmod((made.home() + "/ca/issuer.key").c_str(), 0644) == 0);
    const Outcome wrong = checked(R"(,"tls":{"certificate":"no.pem","key":"no.key"})");
    CAPTURE(wrong.printed);
    CHECK(wrong.code == 2);
    CHECK(says(wrong, "gatehouse: backends.local: "));
    CHECK(says(wrong, "chmod 600 "));
    CHECK(says(wrong, "gatehouse: listeners.acme[0]: "));
    CHECK(says(wrong, "no.pem"));
  }
  SUBCASE("the running server's own port and database") {
    Program server({"serve", "--config", made.config(), "--set",
                    R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + port +
                        R"(}],"public":[],"operations":[]})"});
    REQUIRE_MESSAGE(server.prints("server.ready"), server.printed());
    const Outcome beside = checked("");
    CAPTURE(beside.printed);
    CHECK(beside.code == 0);
    CHECK(says(beside, "port " + port + " is the running server's"));
    CHECK(says(beside, "gatehouse.db has schema "));
    server.signal(SIGTERM);
    CHECK(server.wait() == 0);
  }
}

TEST_CASE("check-config leaves out a backend whose secrets the unit alone is given, and says so") {
  const Installation made;
  const std::string root = R"(["ca/root.pem"])";
  const Outcome outcome =
      run({"check-config", "--config", made.config(), "--set",
           R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + free_port() +
               R"(}],"public":[],"operations":[]})",
           "--set", "backends.local.passphrase=credential:issuer", "--set",
           R"(backends.corp={"type":"est","url":"https://est.test","tls":{"ca":)" + root +
               R"(},"user":"ra","password":"credential:ra","anchors":)" + root + "}"});
  CAPTURE(outcome.printed);
  CHECK(outcome.code == 0);
  for (const char* backend : {"backends.local     ", "backends.corp      "}) {
    CHECK(outcome.printed.find("\n" + std::string(backend) +
                               "not looked at  the service manager gives its secrets "
                               "(credential:…) to the unit alone\n") != std::string::npos);
  }
}

TEST_CASE("check-config warns of a duration without a unit, and takes it") {
  const Installation made;
  const Outcome checked =
      run({"check-config", "--config", made.config(), "--set", "profiles.default.validity=7200"});
  CAPTURE(checked.printed);
  CHECK(checked.code == 0);
  CHECK(checked.printed.starts_with(
      "warning: gatehouse.json: profiles.default.validity: 7200 is taken as seconds (2h); write "
      "\"7200s\" to say so\n"));
}

TEST_CASE("check-config warns of a validity beyond the CA's end, with the limit") {
  const Installation made;
  const auto checked = [&](const std::string& option, const std::string& value) {
    const Outcome outcome = run({"check-config", "--config", made.config(), "--set",
                                 "profiles.default." + option + "=" + value});
    CAPTURE(outcome.printed);
    CHECK(outcome.code == 0);  // what runs today starts tomorrow
    return outcome.printed;
  };
  const std::string long_lived = checked("validity", "3650d");
  CAPTURE(long_lived);
  CHECK(
      long_lived.starts_with("warning: gatehouse.json: profiles.default.validity: 3650d is longer "
                             "than what is left of the CA: the issuing CA \""));
  CHECK(long_lived.find("; set validity to at most ") != std::string::npos);
  CHECK(long_lived.find("gatehouse rotate-issuer") != std::string::npos);
  CHECK(checked("validity", "30d").find("warning: ") == std::string::npos);
}

}  // namespace
}  // namespace gatehouse::testing
