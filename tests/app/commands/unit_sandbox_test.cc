// Commands beside a server that is shut in as packaging/systemd/gatehouse.service shuts it in:
// another user, everything read-only but its data folder, a /tmp of its own. There is no systemd
// here; unshare(1) and mount(8) make the same mounts.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/not_run.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

namespace fs = std::filesystem;

constexpr ::uid_t kServer = 12345;

// Not in /dev/shm or /tmp, of which the sandbox has its own.
struct Machine {
  Machine() {
    std::string pattern = binary_directory() + "/unit-sandbox-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    home = pattern;
    fs::permissions(home, fs::perms(0755));
    for (const char* name : {"/etc", "/data", "/backups"}) {
      fs::create_directory(home + name);
      fs::permissions(home + name, fs::perms::owner_all);
    }
    for (const char* name : {"/etc", "/data"}) {
      REQUIRE(::chown((home + name).c_str(), kServer, kServer) == 0);
    }
  }

  ~Machine() { fs::remove_all(home); }

  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  std::string config() const { return home + "/etc/gatehouse.json"; }

  static std::vector<std::string> as_server(const std::vector<std::string>& arguments) {
    const std::string user = std::to_string(kServer);
    std::vector<std::string> all = {"--reuid=" + user, "--regid=" + user, "--clear-groups",
                                    binary_directory() + "/gatehouse"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }

  Outcome init() const {
    Program program("setpriv", as_server({"init", "--directory", home + "/etc", "--data",
                                          home + "/data", "--base-url", "https://localhost"}));
    const int code = program.wait();
    return {.code = code, .printed = program.printed()};
  }

  // ProtectSystem=strict, ReadWritePaths= of the state directory, PrivateTmp=, User=.
  std::unique_ptr<Program> serve() const {
    const std::string shut_in =
        "mount --make-rprivate / && mount --bind \"$0/data\" \"$0/data\" || exit 9\n"
        "while read -r _ at _; do\n"
        "  case \"$at\" in \"$0/data\"|/proc*|/dev*|/sys*) ;;\n"
        "    *) mount -o remount,bind,ro \"$at\" 2>/dev/null || true ;; esac\n"
        "done </proc/self/mounts\n"
        "mount -t tmpfs tmpfs /tmp || exit 9\n"
        "! touch \"$0/backups/probe\" 2>/dev/null || exit 9\n"
        "exec setpriv \"$@\"\n";
    std::vector<std::string> arguments = {"--mount", "sh", "-c", shut_in, home};
    for (const std::string& each :
         as_server({"serve", "--config", config(), "--set", "resolver.dnssec=off", "--set",
                    R"(listeners={"acme":[{"address":"127.0.0.1","port":)" + free_port() +
                        R"(,"tls":"own"}],"public":[],"operations":[]})"})) {
      arguments.push_back(each);
    }
    return std::make_unique<Program>("unshare", arguments);
  }

  std::string home;
};

struct stat facts(const std::string& path) {
  struct stat info{};
  CHECK_MESSAGE(::stat(path.c_str(), &info) == 0, path);
  return info;
}

TEST_CASE("root backs up to a folder of root's, and restores, around a server in its sandbox") {
  if (::geteuid() != 0) return not_run("it needs root, to shut in a server of another user");
  const Machine machine;
  const Outcome made = machine.init();
  if (made.code == 126 || made.code == 127)
    return not_run("another user cannot reach the build folder");
  REQUIRE_MESSAGE(made.code == 0, made.printed);
  const std::string to = machine.home + "/backups/monday.db";
  {
    const auto server = machine.serve();
    REQUIRE_MESSAGE(server->prints("server.ready"), server->printed());
    const Outcome backup = run({"backup", to, "--config", machine.config()});
    CHECK_MESSAGE(backup.code == 0, backup.printed);
    CHECK(facts(to).st_uid == 0);
    CHECK((facts(to).st_mode & 07777) == 0600);
    const Outcome audit = run({"audit", "show", "--config", machine.config()});
    CHECK_MESSAGE(audit.printed.find("store.backed_up") != std::string::npos, audit.printed);
    server->signal(SIGTERM);
    CHECK_MESSAGE(server->wait() == 0, server->printed());
  }
  // Only root can read it, and the server must be able to use what comes of it.
  const Outcome restored = run({"restore", to, "--config", machine.config()});
  CHECK_MESSAGE(restored.code == 0, restored.printed);
  for (const auto& entry : fs::recursive_directory_iterator(machine.home + "/data")) {
    CHECK_MESSAGE(facts(entry.path().string()).st_uid == kServer, entry.path().string());
  }
  const auto server = machine.serve();
  CHECK_MESSAGE(server->prints("server.ready"), server->printed());
  // Without a server, too.
  server->signal(SIGTERM);
  server->wait();
  const Outcome idle =
      run({"backup", machine.home + "/backups/idle.db", "--config", machine.config()});
  CHECK_MESSAGE(idle.code == 0, idle.printed);
  for (const auto& entry : fs::recursive_directory_iterator(machine.home + "/data")) {
    CHECK_MESSAGE(facts(entry.path().string()).st_uid == kServer, entry.path().string());
  }
}

}  // namespace
}  // namespace gatehouse::testing
