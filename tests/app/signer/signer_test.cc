// `gatehouse signer` as a real process beside the server, killed and started again.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/net/unix_stream.h"
#include "tests/support/not_run.h"
#include "tests/support/program.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;

// A server that has its key itself at first, and from use() on in a `gatehouse signer`.
struct Fixture {
  std::vector<std::string> arguments() const {
    return {"signer", "--config", server.folder.config_file()};
  }

  void use(const Json& signer) {
    Json config = parse_json(read_file(server.folder.config_file()));
    config["backends"]["local"] = {{"type", "local"},
                                   {"certificate", "ca/issuer.pem"},
                                   {"key", "ca/issuer.key"},
                                   {"root", "ca/root.pem"},
                                   {"signer", signer}};
    std::ofstream(server.folder.config_file()) << config.dump();
  }

  std::string socket() const { return server.folder.path() + "/signer.sock"; }

  TestServer server;
};

std::string status_of(Fixture& f, AcmeClient& client, const ClientOrder& order) {
  f.server.run_jobs();
  return client.get(order).status();
}

bool is_ready(Fixture& f) {
  return f.server.get("operations", "/readyz").status == 200;
}

}  // namespace

TEST_CASE("orders wait while the signer is dead, and each gets one certificate afterwards") {
  Fixture f;
  AcmeClient client = registered(f.server);
  f.use({{"socket", "signer.sock"}});
  std::optional<Program> signer(f.arguments());
  REQUIRE(signer->prints("signer.ready"));
  f.server.restart();
  std::vector<ClientOrder> orders;
  for (int round = 0; round < 3; ++round) {
    const std::string name = "n" + std::to_string(round) + ".test";
    ClientOrder order = ready_order(f.server, client, {name});
    signer->signal(SIGKILL);
    signer->wait();
    CHECK(client.finalize(order).status == 200);
    CHECK(status_of(f, client, order) == "processing");
    CHECK_FALSE(is_ready(f));
    signer.emplace(f.arguments());
    REQUIRE(signer->prints("signer.ready"));
    CHECK(is_ready(f));
    f.server.advance(hours(1));
    CHECK(status_of(f, client, order) == "valid");
    CHECK(client.download(client.get(order)).status == 200);
    orders.push_back(client.get(order));
  }
  f.server.restart();  // the other side
  for (const ClientOrder& order : orders) CHECK(status_of(f, client, order) == "valid");
  const auto certificates = f.server->store().read(
      [](store::Tx& tx) { return tx.certificates().list(std::nullopt, 100); });
  CHECK(certificates.size() == orders.size());
}

namespace {

// Whether the signer at `socket` keeps a connection of user `uid` open: 0 it does not, 1 it does.
int answers_user(const std::string& socket, ::uid_t uid) {
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(uid) != 0 || ::setuid(uid) != 0) ::_exit(2);
    try {
      const net::UnixStream stream = net::UnixStream::connect(socket);
      // An operation that there is not: it is answered, with a refusal.
      const Bytes nonsense = {0, 0, 0, 1, 99};
      stream.write(nonsense, Deadline::in(std::chrono::seconds(10)));
      std::uint8_t octet = 0;
      stream.read({&octet, 1}, Deadline::in(std::chrono::seconds(10)));
    } catch (const net::UnixStreamError& error) {
      const std::string what = error.what();
      const bool turned_away = what.find("closed") != std::string::npos ||
                               what.find("reset") != std::string::npos ||
                               what.find("Broken pipe") != std::string::npos;
      ::_exit(turned_away ? 0 : 3);
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(stranger, &status, 0);
  return WEXITSTATUS(status);
}

constexpr ::uid_t kNobody = 65534;
constexpr ::uid_t kDaemon = 1;

}  // namespace

TEST_CASE("the signer answers no other user") {
  if (::geteuid() != 0) {
    not_run("it needs root, to be somebody else than the signer");
    return;
  }
  Fixture f;
  f.use({{"socket", "signer.sock"}});
  Program signer(f.arguments());
  REQUIRE(signer.prints("signer.ready"));
  // As if somebody had opened the way to it.
  REQUIRE(::chmod(f.socket().c_str(), 0666) == 0);
  REQUIRE(::chmod(f.server.folder.path().c_str(), 0711) == 0);
  CHECK(answers_user(f.socket(), kNobody) == 0);
  CHECK(signer.prints("signer.refused"));
}

TEST_CASE("a signer with a user of its own answers the server's too, by a socket for its group") {
  if (::geteuid() != 0) return;  // nobody else to be
  Fixture f;
  f.use({{"socket", "signer.sock"}, {"server_user", "daemon"}});
  Program signer(f.arguments());
  REQUIRE(signer.prints("signer.ready"));
  struct stat found{};
  REQUIRE(::stat(f.socket().c_str(), &found) == 0);
  CHECK((found.st_mode & 0777U) == 0660U);
  REQUIRE(::chmod(f.socket().c_str(), 0666) == 0);
  REQUIRE(::chmod(f.server.folder.path().c_str(), 0711) == 0);
  CHECK(answers_user(f.socket(), kDaemon) == 1);
  CHECK(answers_user(f.socket(), kNobody) == 0);
}

TEST_CASE("a server_user that there is not, or of a signer that is spawned, is refused") {
  Fixture f;
  f.use({{"socket", "signer.sock"}, {"server_user", "no-such-user"}});
  Program unknown(f.arguments());
  CHECK(unknown.wait() == 2);
  CHECK(unknown.printed().find(
            "backends.local.signer.server_user: this machine has no user \"no-such-user\"") !=
        std::string::npos);
  f.use({{"spawn", true}, {"server_user", "daemon"}});
  Program spawned(f.arguments());
  CHECK(spawned.wait() == 2);
  CHECK(spawned.printed().find("backends.local.signer.server_user: a signer that the server") !=
        std::string::npos);
}

TEST_CASE("a signer that cannot be is refused with the reason") {
  Fixture f;
  Program none(f.arguments());
  CHECK(none.wait() == 2);
  CHECK(none.printed().find("backends.local") != std::string::npos);
  f.use({{"socket", "signer.sock"}});
  Program first(f.arguments());
  REQUIRE(first.prints("signer.ready"));
  Program second(f.arguments());
  CHECK(second.wait() == 2);
  CHECK(second.printed().find("another process listens there") != std::string::npos);
  auto arguments = f.arguments();
  arguments.insert(arguments.end(), {"--parent", "1"});
  Program stray(arguments);
  CHECK(stray.wait() == 2);
}

}  // namespace gatehouse::testing
