// What keeps a start from succeeding, and the exit code that it has: 1 for what passes by itself,
// so that the service manager tries again, 2 for what a person must mend. THE TABLE of
// docs/operations.md, by the real program.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "acme-server/app/cli/exit_code.h"
#include "acme-server/app/server/preflight.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/files.h"
#include "acme-server/base/transient_failure.h"
#include "acme-server/store/sql/database.h"
#include "tests/support/dns_server.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/not_run.h"
#include "tests/support/program.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;

Outcome serve(const Installation& made, const std::vector<std::string>& settings = {}) {
  std::vector<std::string> arguments = serve_arguments(made, free_port(), free_port());
  for (const std::string& setting : settings) {
    arguments.insert(arguments.end(), {"--set", setting});
  }
  return run(arguments);
}

// A CA that was made when the clock was `ahead` of what it is, in the place of the installation's.
void replace_ca(const Installation& made, std::chrono::seconds ahead) {
  ManualClock clock(SystemClock().now() + ahead);
  const LocalCaFiles ca(clock);
  for (const auto& [name, content] : ca.files) {
    write_file(made.home() + "/ca/" + name, content, FileAccess::owner_only, ExistingFile::replace);
  }
  std::filesystem::remove(made.home() + "/ca/root.crl");
}

std::string listener_on(const std::string& address, const std::string& port) {
  return R"(listeners={"acme":[{"address":")" + address + R"(","port":)" + port +
         R"(}],"public":[],"operations":[]})";
}

void open_folder(const std::string& folder) {
  REQUIRE(::chmod(folder.c_str(), 0775) == 0);
}

TEST_CASE("a start that fails ends with 1 for what passes by itself, with 2 for what does not") {
  const DnsServer plain([](const DnsQuestion&, ByteView question) {
    return DnsServer::message(0x8180, question, 0);  // an answer, without the AD bit
  });
  const auto held =
      http::open_listener({.name = "taken",
                           .address = http::TcpAddress{.address = "127.0.0.1", .port = 0},
                           .tls = {},
                           .origins = {}});

  struct Row {
    std::string what;
    std::function<Outcome(const Installation&)> start;
    int code;
    std::string message;  // a part of it
  };

  const Row rows[] = {
      {"the clock is behind the CA's certificates",
       [](const Installation& made) {
         replace_ca(made, hours(24 * 40));
         return serve(made);
       },
       1, "the clock is behind, or the certificate is for later"},
      {"the CA's certificates have ended",
       [](const Installation& made) {
         replace_ca(made, -hours(24 * 366 * 11));
         return serve(made);
       },
       2, "rotate-issuer"},
      {"no resolver answers yet, and DNSSEC is required",
       [](const Installation& made) {
         return serve(made, {R"(resolver.servers=["127.0.0.1:1"])", "resolver.dnssec=required"});
       },
       1, "gives no answer"},
      {"the resolver does not validate, and DNSSEC is required",
       [&](const Installation& made) {
         return serve(
             made, {"resolver.servers=[\"" + plain.endpoint() + "\"]", "resolver.dnssec=required"});
       },
       2, "does not validate DNSSEC"},
      {"the address is not there yet",
       [](const Installation& made) { return serve(made, {listener_on("192.0.2.77", "18443")}); },
       1, "cannot listen on 192.0.2.77:18443"},
      {"the port is another program's",
       [&](const Installation& made) {
         return serve(made, {listener_on("127.0.0.1", std::to_string(held.address().port))});
       },
       2, "Address already in use"},
      {"the config is wrong",
       [](const Installation& made) { return serve(made, {"limits.body_bytes=1"}); }, 2,
       "limits.body_bytes"},
      {"others can write the key's folder",
       [](const Installation& made) {
         open_folder(made.home() + "/ca");
         return serve(made);
       },
       2, "run: chmod go-w"},
      {"others can write the database's folder",
       [](const Installation& made) {
         open_folder(made.home());
         return serve(made);
       },
       2, "run: chmod go-w"},
      {"others can write the database",
       [](const Installation& made) {
         const std::string database = made.home() + "/gatehouse.db";
         write_file(database, "", FileAccess::owner_only, ExistingFile::refuse);
         REQUIRE(::chmod(database.c_str(), 0660) == 0);
         return serve(made);
       },
       2, "other users can write this database"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Installation made;
    const Outcome outcome = row.start(made);
    CAPTURE(outcome.printed);
    CHECK(outcome.code == row.code);
    CHECK(outcome.printed.find(row.message) != std::string::npos);
  }
}

// Room enough for the config and the keys, and none for a database.
TEST_CASE("a full disk passes by itself") {
  const Installation made;
  const std::string disk = made.folder.path() + "/disk";
  std::filesystem::create_directory(disk);
  if (::mount("gatehouse-test", disk.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
              "size=64k,mode=0700") != 0) {
    return not_run("root, to mount a small file system");
  }
  const Outcome outcome = serve(made, {"store.path=" + disk + "/gatehouse.db"});
  ::umount2(disk.c_str(), MNT_DETACH);
  CAPTURE(outcome.printed);
  CHECK(outcome.code == 1);
  CHECK(outcome.printed.find("make room") != std::string::npos);
}

TEST_CASE("a clock that cannot be is one that is not set yet") {
  ManualClock clock(kNoon);
  const ServerFolder folder(clock);
  for (const Instant now : {Instant(), kNoon + hours(24 * 365 * 80)}) {
    clock.set(now);
    CHECK_THROWS_AS(app::preflight(folder.config(), clock), TransientFailure);
  }
}

TEST_CASE("a failure's own type says whether it passes by itself") {
  const auto of_errno = [](int error) {
    return std::system_error(error, std::generic_category(), "x");
  };
  for (const int error : {ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EAGAIN, EADDRNOTAVAIL}) {
    CAPTURE(error);
    CHECK(app::exit_code_of(of_errno(error)) == 1);
  }
  for (const int error : {EACCES, ENOENT, EROFS, EADDRINUSE, EIO}) {
    CAPTURE(error);
    CHECK(app::exit_code_of(of_errno(error)) == 2);
  }
  CHECK(app::exit_code_of(TransientFailure("x")) == 1);
  CHECK(app::exit_code_of(sql::StorageFull("x")) == 1);
  CHECK(app::exit_code_of(std::bad_alloc()) == 1);
  CHECK(app::exit_code_of(sql::DatabaseError("x")) == 2);
  CHECK(app::exit_code_of(std::runtime_error("x")) == 2);
}

}  // namespace
}  // namespace gatehouse::testing
