// The engine with its loops led by a crew, which runs the handlers' work as the server does.
#include "acme-server/base/crew.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/base/blocking.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/http/engine.h"
#include "tests/http/client.h"
#include "tests/http/served.h"
#include "tests/support/manual_clock.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

// "/announced" and "/silent" block until open(), the first with a word; all else is answered at
// once. What the crew does not take is answered with 503.
struct CrewServed {
  explicit CrewServed(Crew::Options options)
      : crew(std::move(options)),
        engine({.limits = {}, .threads = 2, .crew = &crew}, clock, log, metrics),
        address(engine.start({plain_listener()}, handler()).front()) {}

  http::Handler handler() {
    return [this](http::Request request, http::Respond respond) {
      const bool taken = crew.try_post([this, target = request.target, respond] {
        if (target == "/announced") about_to_block();
        if (target != "/quick") gate.wait([](bool open) { return open; }, [](bool) {});
        respond(text_response(target));
      });
      if (!taken) respond({.status = 503, .headers = {}, .body = nullptr});
    };
  }

  void open() {
    gate.with([](bool& is_open) { is_open = true; });
    gate.notify_all();
  }

  ManualClock clock;
  Log log;
  Metrics metrics;
  Guarded<bool> gate;
  Crew crew;
  http::Engine engine;
  http::ListenerAddress address;
};

TEST_CASE("handlers that block, with a word or without, leave the other connections alone") {
  for (const std::string target : {"/announced", "/silent"}) {
    CAPTURE(target);
    const milliseconds patience = target == "/silent" ? milliseconds(1) : milliseconds(hours(1));
    CrewServed served({.name = "crew", .loops = 2, .threads = 6, .patience = patience});
    std::vector<Client> blocked;
    for (int i = 0; i < 4; ++i) {
      blocked.push_back(Client::to(served.address));
      blocked.back().send(get(target));
    }
    CHECK(eventually([&] { return served.engine.stats().in_flight == 4; }));
    std::vector<Client> others;
    for (int i = 0; i < 4; ++i) others.push_back(Client::to(served.address));
    for (int round = 0; round < 8; ++round) {
      for (Client& other : others) CHECK(other.ask(get("/quick")).body == "/quick");
    }
    served.open();
    for (Client& client : blocked) CHECK(client.receive().body == target);
  }
}

TEST_CASE("with all threads blocked and the queue full the answer is 503, at once") {
  CrewServed served(
      {.name = "crew", .loops = 2, .threads = 2, .queue_limit = 1, .patience = hours(1)});
  std::vector<Client> taken;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    taken.push_back(Client::to(served.address));
    taken.back().send(get("/announced"));
    CHECK(eventually([&] { return served.engine.stats().in_flight == i; }));
  }
  Client client = Client::to(served.address);
  for (int i = 0; i < 3; ++i) CHECK(client.ask(get("/quick")).status == 503);
  served.open();
  for (Client& each : taken) CHECK(each.receive().body == "/announced");
  CHECK(client.ask(get("/quick")).status == 200);
}

TEST_CASE("requests sent in one go are answered in their order, and do not keep a loop to them") {
  CrewServed served({.name = "crew", .loops = 2, .threads = 4, .patience = hours(1)});
  Client client = Client::to(served.address);
  Client other = Client::to(served.address);
  Client third = Client::to(served.address);
  constexpr int kRequests = 50;
  std::string all;
  for (int i = 0; i < kRequests; ++i) all += get("/quick");
  served.open();
  client.send(all);
  CHECK(other.ask(get("/other")).body == "/other");
  CHECK(third.ask(get("/third")).body == "/third");
  for (int i = 0; i < kRequests; ++i) CHECK(client.receive().body == "/quick");
}

TEST_CASE("a drain waits for what handlers still do, and a late answer reaches nobody") {
  CrewServed served({.name = "crew", .loops = 2, .threads = 2, .patience = hours(1)});
  Client client = Client::to(served.address);
  client.send(get("/announced"));
  CHECK(eventually([&] { return served.engine.stats().in_flight == 1; }));
  std::thread opener([&] { served.open(); });
  CHECK(served.engine.drain_and_stop());
  opener.join();
  CHECK(client.receive().body == "/announced");
  served.crew.drain();
}

}  // namespace
}  // namespace gatehouse::testing
