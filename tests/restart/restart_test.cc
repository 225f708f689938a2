// kill -9 at random moments, under load, on disk: what was acknowledged holds, what was signed is
// known, nothing is issued twice, nothing is lost.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/guarded.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/sql/open.h"
#include "tests/restart/killable_server.h"
#include "tests/support/paths.h"
#include "tests/support/socket_acme.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kOrders = 500;
constexpr int kClients = 8;
constexpr int kKills = 24;
constexpr int kRevokeEach = 10;      // one certificate in so many is revoked
constexpr int kDeactivateEach = 25;  // and an account deactivated
constexpr seconds kPatience{300};    // of the whole test, on the slowest machine

// What clients were told, with a whole answer in their hands.
struct Acknowledged {
  std::vector<std::string> orders;                // ids
  std::map<std::string, std::string> downloaded;  // order -> serial
  std::set<std::string> revoked;                  // serials
  std::vector<std::string> deactivated;           // account ids
};

std::string last_part(const std::string& url) {
  return url.substr(url.rfind('/') + 1);
}

class GaveUp : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One account's life over a server that comes and goes.
class StubbornClient final {
 public:
  StubbornClient(const KillableServer& server, Deadline deadline)
      : server_(server),
        deadline_(deadline),
        client_([this](http::Request request) { return send(request); }, kTestBaseUrl) {
    register_account();
  }

  // From newOrder to download; revocation too when asked.
  void obtain(const std::string& name, bool revoke, Guarded<Acknowledged>& acknowledged) {
    ClientOrder order = insist([&] { return client_.new_order({name}); });
    const std::string id = last_part(order.url);
    acknowledged.with([&](Acknowledged& all) { all.orders.push_back(id); });
    const TestKey key = TestKey::generate(TestKey::Kind::p256);
    while (order.status() != "valid") {
      if (order.status() == "invalid")
        throw GaveUp("order " + id + " is invalid: " + order.json.dump());
      if (order.status() == "pending") insist([&] { client_.respond(order); });
      if (order.status() == "ready") insist([&] { client_.finalize(order, key); });
      std::this_thread::sleep_for(milliseconds(10));  // as Retry-After would have it, in small
      order = insist([&] { return client_.get(order); });
    }
    const Reply reply = insist([&] { return client_.download(order); });
    const crypto::Certificate leaf = crypto::parse_pem_chain(reply.body).value().at(0);
    if (leaf.spki != key.spki()) throw GaveUp("order " + id + " has another key's certificate");
    acknowledged.with([&](Acknowledged& all) { all.downloaded[id] = leaf.serial; });
    if (!revoke) return;
    const Reply revoked = insist([&] { return client_.revoke(leaf.der, 4); });
    // An answer that was lost to a kill may have been a yes.
    if (revoked.status != 200 && revoked.problem() != "alreadyRevoked") throw GaveUp(revoked.body);
    acknowledged.with([&](Acknowledged& all) { all.revoked.insert(leaf.serial); });
  }

  void deactivate(Guarded<Acknowledged>& acknowledged) {
    const Reply reply =
        insist([&] { return client_.post(client_.kid, {{"status", "deactivated"}}); });
    if (reply.status != 200 && reply.status != 401) throw GaveUp(reply.body);
    acknowledged.with(
        [&](Acknowledged& all) { all.deactivated.push_back(last_part(client_.kid)); });
  }

 private:
  void register_account() {
    insist([&] {
      if (const Reply reply = client_.new_account(); client_.kid.empty()) throw GaveUp(reply.body);
    });
  }

  http::Response send(const http::Request& request) {
    const std::uint16_t port = server_.port();
    if (port == 0) throw ConnectionLost("there is no server just now");
    if (port != port_) {
      port_ = port;
      sender_.emplace(http::ListenerAddress{
          .listener = "acme", .address = "127.0.0.1", .port = port, .unix_path = ""});
    }
    http::Response response = (*sender_)(request);
    if (response.status >= 500) throw ConnectionLost("the server is in trouble");
    return response;
  }

  // Until it gets an answer.
  template <class Function>
  std::invoke_result_t<const Function&> insist(const Function& function) {
    for (;;) {
      try {
        return function();
      } catch (const ConnectionLost& lost) {
        if (deadline_.expired()) throw GaveUp(lost.what());
        std::this_thread::sleep_for(milliseconds(20));
      }
    }
  }

  const KillableServer& server_;
  Deadline deadline_;
  std::uint16_t port_ = 0;
  std::optional<SocketSender> sender_;
  AcmeClient client_;
};

// What the clients do together; their failures, empty when all went well.
struct Load {
  Load(const KillableServer& server, Deadline deadline) {
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([this, &server, deadline] { work(server, deadline); });
    }
  }

  void work(const KillableServer& server, Deadline deadline) {
    try {
      StubbornClient client(server, deadline);
      for (int i = next++; i < kOrders; i = next++) {
        client.obtain("n" + std::to_string(i) + ".test", i % kRevokeEach == 0, acknowledged);
        if (i % kDeactivateEach == 0) {
          StubbornClient passing(server, deadline);
          passing.deactivate(acknowledged);
        }
        ++done;
      }
    } catch (const std::exception& error) {
      failures.with([&](auto& all) { all.emplace_back(error.what()); });
    }
    ++finished;
  }

  std::atomic<int> next = 0, done = 0, finished = 0;
  Guarded<Acknowledged> acknowledged;
  Guarded<std::vector<std::string>> failures;
  std::vector<std::jthread> clients;  // last: they use what stands above
};

// The SHA-256 of each intent's TBS -> its order.
std::map<std::string, std::string> intents_of(sql::Connection& database) {
  std::map<std::string, std::string> orders;
  for (const sql::Row& row : database.query("SELECT request, order_id FROM issuances", {})) {
    const Bytes tbs = base64url_decode(row.text(0)).value();
    orders[crypto::sha256_hex(tbs)] = row.text(1);
  }
  return orders;
}

std::set<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::set<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

// Text of the first column of every row.
std::set<std::string> column(sql::Connection& database, std::string_view sql) {
  std::set<std::string> values;
  for (const sql::Row& row : database.query(sql, {})) values.insert(row.text(0));
  return values;
}

void check_record(sql::Connection& database, const std::string& record) {
  const auto intents = intents_of(database);
  const auto signed_hashes = lines_of(record);
  CHECK(signed_hashes.size() >= kOrders);
  std::map<std::string, int> signed_of_order;
  for (const std::string& hash : signed_hashes) {
    const auto found = intents.find(hash);
    CHECK_MESSAGE(found != intents.end(), "signed, but no intent says so: ", hash);
    if (found != intents.end()) ++signed_of_order[found->second];
  }
  for (const auto& [order, count] : signed_of_order) {
    CHECK_MESSAGE(count == 1, "order ", order, " had ", count, " certificates signed");
  }
}

void check_acknowledged(sql::Connection& database, const Acknowledged& told) {
  CHECK(told.downloaded.size() == kOrders);
  const auto with_certificate =
      column(database, "SELECT id FROM orders WHERE certificate_id IS NOT NULL");
  for (const std::string& order : told.orders) {
    // newOrder was answered twice for none; each that was answered went to its end.
    CHECK_MESSAGE(with_certificate.contains(order), "order ", order, " was lost");
  }
  const auto serials = column(database, "SELECT serial FROM certificates");
  for (const auto& [order, serial] : told.downloaded) {
    CHECK_MESSAGE(serials.contains(serial), "serial ", serial, " is unknown");
  }
  const auto revoked =
      column(database, "SELECT serial FROM certificates WHERE revoked_at IS NOT NULL");
  CHECK(revoked == told.revoked);
  const auto deactivated = column(database, "SELECT id FROM accounts WHERE status = 'deactivated'");
  for (const std::string& account : told.deactivated) {
    CHECK_MESSAGE(deactivated.contains(account), "account ", account, " is alive");
  }
  CHECK(column(database,
               "SELECT id FROM orders WHERE finalized_at IS NOT NULL AND certificate_id IS NULL")
            .empty());
}

unsigned seed_of_this_run() {
  const char* given = std::getenv("GATEHOUSE_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
}

TEST_CASE("kill -9 under load loses nothing and issues nothing twice") {
  const unsigned seed = seed_of_this_run();
  INFO("again with: GATEHOUSE_SEED=", seed);
  std::mt19937 random(seed);

  ManualClock clock(from_unix(::time(nullptr)));
  const std::string on_disk = binary_directory() + "/restart";
  std::filesystem::remove_all(on_disk);  // left behind by a failure, to be looked at
  make_private_folder(on_disk);
  const ServerFolder folder(clock, Json::object(), {.at = on_disk});
  const std::string record = folder.path() + "/signed";
  KillableServer server(binary_directory() + "/restart_server", folder.path(), record);
  server.start();
  int kills = 0;
  {
    Load load(server, Deadline::in(kPatience));
    while (load.finished < kClients) {
      // The next kill comes when so many orders are done, and a random moment later.
      const int due = (kills + 1) * kOrders / (kKills + 1);
      if (kills < kKills && load.done >= due) {
        std::this_thread::sleep_for(
            std::chrono::microseconds(std::uniform_int_distribution(0, 60'000)(random)));
        server.kill();
        ++kills;
        server.start();
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    load.clients.clear();
    const auto failures = load.failures.with([](const auto& all) { return all; });
    for (const std::string& failure : failures) FAIL_CHECK(failure);
    CHECK(load.done == kOrders);
    CHECK(kills >= 20);
    CHECK(server.stop() == 0);

    store::StoreOptions options;
    options.database = folder.path() + "/gatehouse.db";
    const auto database = sql::open(options);
    const auto connection = database->connect_writer();
    CHECK(connection->query("PRAGMA integrity_check", {}).at(0).text(0) == "ok");
    check_record(*connection, record);
    check_acknowledged(*connection, load.acknowledged.with([](const auto& all) { return all; }));
  }
}

}  // namespace
}  // namespace gatehouse::testing
