// A disk that fills up under load, a real one: nothing is signed without its intent on disk,
// clients are told to come back, what can be read is served, and everything goes on when there is
// room.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/sql/open.h"
#include "tests/restart/killable_server.h"
#include "tests/support/not_run.h"
#include "tests/support/paths.h"
#include "tests/support/socket_acme.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kClients = 4;
constexpr int kOrdersEach = 12;  // at least: until the disk was full, there is always one more
constexpr seconds kPatience{90};
// How soon issuance must go on when there is room.
constexpr seconds kRecovery{10};

// A small file system of our own, unmounted at the end; larger than the write-ahead log may grow.
class SmallDisk final {
 public:
  explicit SmallDisk(const std::string& at) : at_(at) {
    std::filesystem::create_directory(at);
    mounted_ = ::mount("gatehouse-test", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                       "size=64m,mode=0700") == 0;
  }

  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }

  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }

  // Leaves `octets` free.
  void fill_up_to(std::uint64_t octets) const {
    const std::uint64_t free = std::filesystem::space(at_).available;
    const int file = ::open(ballast().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    if (free > octets) {
      // A page at a time: others are writing meanwhile, and the last page may be theirs.
      const std::string page(4096, 'x');
      for (std::uint64_t at = 0; at + page.size() <= free - octets; at += page.size()) {
        if (::pwrite(file, page.data(), page.size(), static_cast<off_t>(at)) < 0) break;
      }
    }
    ::close(file);
  }

  void empty() const { std::filesystem::remove(ballast()); }

 private:
  std::string ballast() const { return at_ + "/ballast"; }

  std::string at_;
  bool mounted_ = false;
};

bool can_mount() {
  const TemporaryFolder folder;
  return SmallDisk(folder.path() + "/disk").mounted();
}

// A client that comes back whenever it is told to, and keeps an account of what it was told.
struct Tally {
  std::atomic<int> done = 0, told_to_come_back = 0, other_failures = 0, finished = 0;
  std::atomic<bool> was_full = false;
  Guarded<std::vector<std::string>> problems;
};

AcmeClient client_at(std::uint16_t port, Tally& tally) {
  auto sender = std::make_shared<SocketSender>(http::ListenerAddress{
      .listener = "acme", .address = "127.0.0.1", .port = port, .unix_path = ""});
  return {[sender, &tally](http::Request request) {
            http::Response response = (*sender)(request);
            if (response.status >= 500) {
              const bool good = response.status == 503 &&
                                http::find_header(response.headers, "Retry-After") != nullptr &&
                                response.body->find("serverInternal") != std::string::npos;
              ++(good ? tally.told_to_come_back : tally.other_failures);
              if (!good) tally.problems.with([&](auto& all) { all.push_back(*response.body); });
            }
            return response;
          },
          kTestBaseUrl};
}

// From newOrder to the download, however often it takes.
void obtain(AcmeClient& client, const std::string& name, const Deadline& deadline) {
  const TestKey key = TestKey::generate(TestKey::Kind::p256);
  std::optional<ClientOrder> order;
  while (!deadline.expired()) {
    std::this_thread::sleep_for(milliseconds(20));  // as Retry-After would have it, in small
    if (!order) {
      const Reply reply = client.post(client.url_of("newOrder"),
                                      {{"identifiers", AcmeClient::identifiers({name})}});
      if (reply.status != 201) continue;
      order = ClientOrder{.url = reply.header("Location"),
                          .http_status = 201,
                          .json = reply.json(),
                          .names = {name}};
    }
    ClientOrder now = client.get(*order);
    if (now.http_status != 200) continue;
    if (now.status() == "pending") client.respond(now);
    if (now.status() == "ready") client.finalize(now, key);
    if (now.status() == "invalid") throw std::runtime_error("invalid: " + now.json.dump());
    if (now.status() != "valid") continue;
    if (client.download(now).status == 200) return;
  }
  throw std::runtime_error("order for " + name + " did not come to its end");
}

void work(std::uint16_t port, int number, Tally& tally, const Deadline& deadline) {
  try {
    AcmeClient client = client_at(port, tally);
    while (client.kid.empty()) client.new_account();
    for (int i = 0; i < kOrdersEach || (!tally.was_full && !deadline.expired()); ++i) {
      obtain(client, "c" + std::to_string(number) + "-" + std::to_string(i) + ".test", deadline);
      ++tally.done;
    }
  } catch (const std::exception& error) {
    tally.problems.with([&](auto& all) { all.emplace_back(error.what()); });
  }
  ++tally.finished;
}

// Every signature has its intent, and no order has two.
void check_signatures(const std::string& database_file, const std::string& record) {
  store::StoreOptions options;
  options.database = database_file;
  const auto database = sql::open(options);
  const auto connection = database->connect_writer();
  CHECK(connection->query("PRAGMA integrity_check", {}).at(0).text(0) == "ok");
  std::map<std::string, std::string> intents;
  for (const sql::Row& row : connection->query("SELECT request, order_id FROM issuances", {})) {
    intents[crypto::sha256_hex(base64url_decode(row.text(0)).value())] = row.text(1);
  }
  std::ifstream in(record);
  std::set<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.insert(line);
  CHECK(lines.size() >= std::size_t{kClients} * kOrdersEach);
  std::set<std::string> orders;
  for (const std::string& line : lines) {
    REQUIRE_MESSAGE(intents.contains(line), "signed, but no intent says so: ", line);
    CHECK_MESSAGE(orders.insert(intents.at(line)).second, "two certificates of one order");
  }
  CHECK(
      connection
          ->query("SELECT id FROM orders WHERE finalized_at IS NOT NULL AND certificate_id IS NULL",
                  {})
          .empty());
}

// `floor`: with one, issuance stops while there is room; without, writes fail.
void run_full_disk(std::uint64_t floor) {
  const TemporaryFolder outside;  // the record must not run out of room
  const SmallDisk disk(outside.path() + "/disk");
  REQUIRE(disk.mounted());
  ManualClock clock(from_unix(::time(nullptr)));
  const std::string home = outside.path() + "/disk/home";
  std::filesystem::create_directory(home);
  const ServerFolder folder(clock, {{"store", {{"free_space_floor", floor}}}}, {.at = home});
  const std::string record = outside.path() + "/signed";
  KillableServer server(binary_directory() + "/restart_server", home, record);
  server.start();
  const Deadline deadline = Deadline::in(kPatience);
  Tally tally;
  AcmeClient reader = client_at(server.port(), tally);
  REQUIRE(reader.new_account().status == 201);
  obtain(reader, "first.test", deadline);
  const ClientOrder waiting = reader.new_order({"waiting.test"});
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] { work(server.port(), i, tally, deadline); });
    }
    while (tally.done < kClients && !deadline.expired())
      std::this_thread::sleep_for(milliseconds(1));
    disk.fill_up_to(floor / 2);
    const int before = tally.told_to_come_back;
    while (tally.told_to_come_back < before + 20 && !deadline.expired()) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    const int done = tally.done;
    // What only reads goes on: directory, nonce, order.
    CHECK(reader.get(std::string(kTestBaseUrl) + "/directory").status == 200);
    CHECK(reader.get(waiting).http_status == 200);
    const Reply refused = reader.post(reader.url_of("newOrder"),
                                      {{"identifiers", AcmeClient::identifiers({"no.test"})}});
    CHECK(refused.status == 503);
    CHECK(refused.problem() == "serverInternal");
    CHECK_FALSE(refused.header("Retry-After").empty());
    CHECK(tally.finished == 0);

    tally.was_full = true;
    disk.empty();
    const Deadline soon = Deadline::in(kRecovery);
    while (tally.done <= done && !soon.expired()) std::this_thread::sleep_for(milliseconds(1));
    CHECK_MESSAGE(tally.done > done, "issuance did not go on when there was room");
    while (tally.finished < kClients) std::this_thread::sleep_for(milliseconds(1));
  }
  for (const auto& problem : tally.problems.with([](const auto& all) { return all; })) {
    FAIL_CHECK(problem);
  }
  CHECK(tally.done >= kClients * kOrdersEach);
  CHECK(tally.other_failures == 0);
  server.begin_stop();
  CHECK(server.wait(std::chrono::seconds(60)) == KillableServer::End::in_order);
  check_signatures(home + "/gatehouse.db", record);
}

TEST_CASE("a disk that fills up under load") {
  if (!can_mount()) {
    not_run("it needs root, to mount a file system of its own");
    return;
  }
  SUBCASE("down to the floor: issuance stops while there is room") {
    run_full_disk(4U << 20U);
  }
  SUBCASE("to the last octet: writes fail") {
    run_full_disk(0);
  }
}

}  // namespace
}  // namespace gatehouse::testing
