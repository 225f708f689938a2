// serve under a service manager: sockets handed over, what it is told, credentials.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/http/socket.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

// What a manager listens on for its services' words.
class NotifySocket final {
 public:
  explicit NotifySocket(std::string path) : path_(std::move(path)) {
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path_.size() < sizeof(address.sun_path));
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }

  ~NotifySocket() { ::close(descriptor_); }

  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next message that has `word` in it; blocks until there is one.
  std::string next_with(std::string_view word) const {
    for (;;) {
      std::array<char, 4096> piece{};
      const ssize_t got = ::recv(descriptor_, piece.data(), piece.size(), 0);
      REQUIRE(got > 0);
      std::string message(piece.data(), static_cast<std::size_t>(got));
      if (message.find(word) != std::string::npos) return message;
    }
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

// LISTEN_PID names the process itself, so a shell sets it and becomes the server.
std::vector<std::string> under_manager(const std::string& environment, const std::string& config,
                                       const std::string& settings) {
  return {"-c", "LISTEN_PID=$$ " + environment + " exec '" + binary_directory() +
                    "/gatehouse' serve --config '" + config + "' " + settings};
}

const std::string kLoopback = "--set 'listeners.public=[]' --set 'listeners.operations=[]' ";

TEST_CASE("a socket of the service manager is served, and the manager is told how it goes") {
  const Installation installation;
  const NotifySocket notify(installation.folder.path() + "/notify");
  // Ours is listening before the server starts, as a .socket unit is: descriptor 3 in the child.
  auto socket = http::open_listener({.name = "acme",
                                     .address = http::TcpAddress{.address = "127.0.0.1", .port = 0},
                                     .tls = {},
                                     .origins = {}});
  const std::uint16_t port = socket.address().port;
  REQUIRE(::fcntl(socket.get(), F_SETFD, 0) == 0);
  Program server("bash",
                 under_manager("LISTEN_FDS=1 LISTEN_FDNAMES=acme WATCHDOG_USEC=300000 "
                               "WATCHDOG_PID=$$ NOTIFY_SOCKET='" +
                                   notify.path() + "'",
                               installation.config(),
                               kLoopback + R"(--set 'listeners.acme=[{"systemd":"acme"}]' 3<&)" +
                                   std::to_string(socket.get())));
  REQUIRE_MESSAGE(server.prints("server.ready"), server.printed());
  CHECK(notify.next_with("READY=1").find("STATUS=Serving") != std::string::npos);
  CHECK(server.printed().find("listener acme.0 on 127.0.0.1:" + std::to_string(port)) !=
        std::string::npos);
  CHECK(notify.next_with("WATCHDOG=1") == "WATCHDOG=1");
  server.signal(SIGHUP);
  CHECK(notify.next_with("RELOADING=1").find("MONOTONIC_USEC=") != std::string::npos);
  CHECK(notify.next_with("READY=1") == "READY=1\nSTATUS=Serving");
  write_file(installation.config(), "{", FileAccess::owner_only, ExistingFile::replace);
  server.signal(SIGHUP);
  CHECK(notify.next_with("READY=1").find("the last reload was refused") != std::string::npos);
  server.signal(SIGTERM);
  notify.next_with("STOPPING=1");
  CHECK(server.wait() == 0);
}

TEST_CASE("a socket that the manager has not is named before anything starts") {
  const Installation installation;
  const std::string listener = kLoopback + R"(--set 'listeners.acme=[{"systemd":"acme"}]')";
  {
    Program server("bash", under_manager("", installation.config(), listener));
    CHECK(server.wait() == 2);
    CHECK(server.printed().find("no socket called \"acme\"; start through the .socket unit") !=
          std::string::npos);
  }
  Program server("bash", under_manager("LISTEN_FDS=1 LISTEN_FDNAMES=web", installation.config(),
                                       listener + " 3</dev/null"));
  CHECK(server.wait() == 2);
  CHECK(server.printed().find("those not yet taken are: web") != std::string::npos);
}

TEST_CASE("a passphrase may be a credential of the service manager") {
  const TemporaryFolder folder;
  make_private_folder(folder.path() + "/credentials");
  write_file(folder.path() + "/credentials/ca", "correct horse\n", FileAccess::owner_only,
             ExistingFile::refuse);
  const auto init = [&](const std::string& reference, const std::string& credentials) {
    Program program("sh",
                    {"-c", credentials + " exec '" + binary_directory() +
                               "/gatehouse' init --directory '" + folder.path() +
                               "/home' --base-url https://localhost --passphrase " + reference});
    const int code = program.wait();
    return Outcome{.code = code, .printed = program.printed()};
  };
  const std::string given = "CREDENTIALS_DIRECTORY='" + folder.path() + "/credentials'";
  const Outcome without = init("credential:ca", "");
  CHECK(without.code == 2);
  CHECK(without.printed.find("LoadCredential=ca:PATH") != std::string::npos);
  CHECK(init("credential:../secret", given).code == 2);
  const Outcome made = init("credential:ca", given);
  REQUIRE_MESSAGE(made.code == 0, made.printed);
  CHECK(read_file(folder.path() + "/home/ca/issuer.key").find("ENCRYPTED") != std::string::npos);
  CHECK(read_file(folder.path() + "/home/gatehouse.json").find("credential:ca") !=
        std::string::npos);
}

}  // namespace
}  // namespace gatehouse::testing
