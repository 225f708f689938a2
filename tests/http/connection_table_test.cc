// Which connection gives way when there are many.
#include "acme-server/http/connection_table.h"

#include <doctest/doctest.h>

#include "tests/http/served.h"

namespace gatehouse::testing {
namespace {

using http::Request;
using http::Respond;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kHold = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";

// Holds requests for /hold, answers others.
http::Handler holding(Held& held) {
  return [hold = held.handler()](Request request, Respond respond) {
    request.target == "/hold" ? hold(std::move(request), std::move(respond))
                              : echo(std::move(request), std::move(respond));
  };
}

// A client of `source` that has been served, and that the server knows to be idle beside `busy`
// others that are not.
Client idle_from(const char* source, const Served& served, std::uint64_t busy = 0) {
  auto client = Client::from(source, served.addresses.at(0));
  REQUIRE(client.ask(kGet).status == 200);
  REQUIRE(eventually([&] {
    const auto stats = served.engine.stats();
    return stats.in_flight == busy && stats.idle + busy == stats.connections;
  }));
  return client;
}

TEST_CASE("when the listener is full, what has been idle longest gives way") {
  Served served(echo, {.connections = 3});
  auto first = idle_from("127.0.0.1", served);
  auto second = idle_from("127.0.0.2", served);
  auto third = idle_from("127.0.0.3", served);
  CHECK(first.ask(kGet).status == 200);  // now the youngest
  CHECK(eventually([&] { return served.engine.stats().idle == 3; }));
  auto fourth = idle_from("127.0.0.4", served);
  CHECK(second.ended());
  for (Client* kept : {&first, &third, &fourth}) CHECK(kept->ask(kGet).status == 200);
  CHECK(served.engine.stats().evicted == 1);
  CHECK(served.engine.stats().refused == 0);
}

TEST_CASE("the client with the most idle connections loses one first, however young") {
  Served served(echo, {.connections = 4});
  auto honest = idle_from("127.0.0.1", served);
  std::vector<Client> flood;
  for (int i = 0; i < 3; ++i) flood.push_back(idle_from("127.0.0.2", served));
  auto newcomer = idle_from("127.0.0.3", served);
  CHECK(flood.front().ended());
  CHECK(honest.ask(kGet).status == 200);
  CHECK(newcomer.ask(kGet).status == 200);
}

TEST_CASE("idle connections of one client give way before the listener is quite full") {
  Served served(echo, {.connections = 32});
  std::vector<Client> flood;
  for (int i = 0; i < 31; ++i) flood.push_back(idle_from("127.0.0.2", served));
  CHECK(served.engine.stats().evicted == 1);
  CHECK(flood.front().ended());
}

TEST_CASE("a connection with a request under way does not give way") {
  Held held;
  Served served(holding(held), {.connections = 2});
  auto busy = Client::from("127.0.0.2", served.addresses.at(0));
  busy.send(kHold);
  auto [request, respond] = held.next();
  auto idle = idle_from("127.0.0.3", served, 1);
  auto newcomer = idle_from("127.0.0.4", served, 1);
  CHECK(idle.ended());
  respond(text_response("held"));
  CHECK(busy.receive().body == "held");
}

TEST_CASE("a client with too many connections loses its own idle one, or is refused") {
  Held held;
  Served served(holding(held), {.connections_per_address = 2});
  auto other = idle_from("127.0.0.3", served);
  auto busy = Client::from("127.0.0.2", served.addresses.at(0));
  busy.send(kHold);
  const auto first = held.next();
  auto idle = idle_from("127.0.0.2", served, 1);
  CHECK(served.engine.stats().idle == 2);
  auto next = Client::from("127.0.0.2", served.addresses.at(0));
  next.send(kHold);
  const auto second = held.next();
  CHECK(idle.ended());
  CHECK(served.engine.stats().evicted == 1);
  CHECK(eventually([&] { return served.engine.stats().connections == 3; }));

  auto refused = Client::from("127.0.0.2", served.addresses.at(0));
  const Answer answer = refused.receive();
  CHECK(answer.status == 503);
  CHECK(answer.body.find("Your address has too many connections") != std::string::npos);
  CHECK(served.engine.stats().refused == 1);
  CHECK(other.ask(kGet).status == 200);
}

TEST_CASE("a trusted proxy has no limit of its own and loses no idle connection") {
  auto listener = plain_listener();
  listener.proxies = {IpPrefix::parse("127.0.0.2").value()};
  Served served(echo, {.connections = 4, .connections_per_address = 1}, {std::move(listener)});
  std::vector<Client> proxy;
  for (int i = 0; i < 3; ++i) proxy.push_back(idle_from("127.0.0.2", served));
  auto client = idle_from("127.0.0.3", served);
  proxy.push_back(idle_from("127.0.0.2", served));
  CHECK(client.ended());
  for (Client& each : proxy) CHECK(each.ask(kGet).status == 200);
  CHECK(Client::from("127.0.0.4", served.addresses.at(0)).receive().status == 503);

  served.engine.set_proxies("acme", {});
  proxy.pop_back();
  CHECK(eventually([&] { return served.engine.stats().connections == 3; }));
  auto counted = idle_from("127.0.0.2", served);
  auto again = idle_from("127.0.0.2", served);
  CHECK(counted.ended());
  CHECK_THROWS_AS(served.engine.set_proxies("nobody", {}), std::runtime_error);
}

TEST_CASE("clients of one IPv6 network are one client") {
  const http::ConnectionTable table({}, {IpPrefix::parse("2001:db8:1::/48").value()});
  const auto key = [&](const char* address) {
    http::Peer peer;
    peer.address = address;
    return table.key_of(peer);
  };
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:0:0:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
  CHECK(key("192.0.2.1") != key("192.0.2.2"));
  CHECK(key("2001:db8:1:2::3") == http::ConnectionTable::kExempt);
  CHECK(key("") == http::ConnectionTable::kExempt);  // a unix socket
}

}  // namespace
}  // namespace gatehouse::testing
