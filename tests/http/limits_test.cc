#include <doctest/doctest.h>
#include <sys/resource.h>

#include <thread>

#include "acme-server/base/json.h"
#include "tests/http/served.h"
#include "tests/support/no_descriptors.h"

namespace gatehouse::testing {
namespace {

using http::Limits;
using http::Request;
using http::Respond;
using std::chrono::milliseconds;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST_CASE("what is too large is refused with its own status") {
  struct Row {
    std::string sent;
    int status;
  };

  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string many;
  for (int i = 0; i < 101; ++i) many += "X: y\r\n";
  const Row rows[] = {
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413},
      {chunked + "10001\r\n", 413},
      {chunked + "ffff\r\n" + std::string(65535, 'x') + "\r\n2\r\nxx\r\n0\r\n\r\n", 413},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'x'), 431},
      {"GET /" + std::string(20000, 'x'), 431},
      {"GET / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n", 431},
  };
  Served served(echo);
  for (const Row& row : rows) {
    auto client = served.connect();
    const Answer answer = client.ask(row.sent);
    CHECK(answer.status == row.status);
    CHECK(parse_json(answer.body)["status"] == row.status);
    CHECK(client.ended());
  }
  auto client = served.connect();
  const std::string body(65536, 'x');
  CHECK(client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n" + body).body ==
        "POST / [" + body + "]");
}

TEST_CASE(
    "a request that does not end in time is answered 408, a connection without one is closed") {
  Served served(echo, {.read = milliseconds(50), .idle = milliseconds(50)});
  for (const char* begun :
       {"G", "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    CAPTURE(begun);
    auto client = served.connect();
    CHECK(client.ask(begun).status == 408);
    CHECK(client.ended());
  }
  auto silent = served.connect();
  CHECK(silent.ended());
  auto idle = served.connect();
  CHECK(idle.ask(kGet).status == 200);
  CHECK(idle.ended());
}

TEST_CASE("new limits hold for connections that come after them") {
  Served served(echo, {.body_bytes = 100});
  auto before = served.connect();
  CHECK(before.ask(kGet).status == 200);
  served.engine.set_limits({.body_bytes = 5000, .connections = 16, .connections_per_address = 2});
  const std::string large =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n" + std::string(200, 'x');
  CHECK(before.ask(large).status == 413);
  auto after = served.connect();
  CHECK(after.ask(large).status == 200);
  // Of one address two connections are there, and the older idle one gives way to a third.
  auto third = served.connect();
  CHECK(third.ask(kGet).status == 200);
}

TEST_CASE("octets that trickle in do not put off the deadline") {
  Served served(echo, {.read = milliseconds(100)});
  auto client = served.connect();
  const auto begin = std::chrono::steady_clock::now();
  std::size_t sent = 0;
  while (client.send("G") && ++sent < 3000 && served.engine.stats().rejected == 0)
    poll(nullptr, 0, 5);
  CHECK(served.engine.stats().rejected == 1);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("a handler may take longer than any deadline of the client") {
  Held held;
  Served served(held.handler(),
                {.read = milliseconds(20), .idle = milliseconds(20), .write = milliseconds(200)});
  auto client = served.connect();
  client.send(kGet);
  auto [request, respond] = held.next();
  auto other = served.connect();
  CHECK(other.ended());  // its idle time has passed meanwhile
  respond(text_response("late"));
  CHECK(client.receive().body == "late");
}

TEST_CASE(
    "a client that does not read costs no processor time, no copy, and in the end its connection") {
  const auto body = shared_text(std::string(50'000'000, 'x'));
  Served served(
      [&](Request request, Respond respond) {
        respond(request.target == "/big"
                    ? http::Response{.status = 200, .headers = {}, .body = body}
                    : text_response("small"));
      },
      {.write = milliseconds(400)});
  auto slow = served.connect();
  slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(eventually([&] { return body.use_count() > 1; }));
  const double before = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  CHECK(served.connect().ask(kGet).body == "small");
  CHECK(eventually([&] { return served.engine.stats().in_flight == 0; }));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(took.count() > 0.2);
  CHECK(cpu_seconds() - before < 0.5 * took.count());
  CHECK(slow.receive_to_end().size() < body->size());
}

TEST_CASE("a client that pipelines without reading is read no further") {
  std::atomic<int> handled = 0;
  Served served(
      [&](Request, Respond respond) {
        ++handled;
        respond(text_response(std::string(100'000, 'x')));
      },
      {.write = milliseconds(300)});
  Client flood = served.connect();
  const timeval brief{.tv_sec = 0, .tv_usec = 100'000};
  setsockopt(flood.socket(), SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief));
  int sent = 0;
  while (sent < 200'000 && flood.send(kGet)) ++sent;
  CHECK(sent > handled);
  CHECK(handled < 2000);  // as many answers as fit into the sockets' buffers
  CHECK(eventually([&] { return served.engine.stats().connections == 0; }));
}

TEST_CASE("above the limit of connections a plain client is told 503") {
  Held held;
  Served served(
      [&, hold = held.handler()](Request request, Respond respond) {
        request.target == "/hold" ? hold(request, respond) : echo(request, respond);
      },
      {.connections = 2}, {plain_listener("one"), plain_listener("two")});
  auto first = served.connect();
  auto second = served.connect();
  for (Client* busy : {&first, &second}) busy->send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
  auto pending = held.next();
  const auto other = held.next();
  auto third = served.connect();
  const Answer answer = third.receive();
  CHECK(answer.status == 503);
  CHECK(answer.field("Retry-After") != "<none>");
  CHECK(third.ended());
  CHECK(served.connect(1).ask(kGet).status == 200);  // another listener has its own
  pending.second(text_response("here"));
  other.second(text_response("here"));
  CHECK(first.receive().status == 200);
  first.close();
  CHECK(eventually([&] { return served.engine.stats().connections < 3; }));
  CHECK(served.engine.stats().refused == 1);
  CHECK(eventually([&] { return served.connect().ask(kGet).status == 200; }));
}

TEST_CASE("out of descriptors, the engine backs off and serves when there are some") {
  Served served(echo);
  std::vector<Client> clients(5);
  std::optional<NoDescriptors> none(std::in_place);
  const auto begin = std::chrono::steady_clock::now();
  for (Client& client : clients) client.connect(served.addresses[0]);
  const bool backed_off = eventually([&] { return served.engine.stats().accept_pauses >= 3; });
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto pauses = served.engine.stats().accept_pauses;
  none.reset();
  CHECK(backed_off);
  CHECK(pauses <= static_cast<std::uint64_t>(took / milliseconds(100)) + 2);
  CHECK(served.logged("http.accept_exhausted"));
  for (Client& client : clients) CHECK(client.ask(kGet).status == 200);
}

}  // namespace
}  // namespace gatehouse::testing
