// Http01 over real sockets: c-ares, TCP and TLS on loopback.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/socket_dialer.h"
#include "tests/support/dns_server.h"
#include "tests/support/prefixes.h"
#include "tests/support/tls_peer.h"
#include "validators/http01.h"

namespace gatehouse::validators {

namespace {

using testing::DnsQuestion;
using testing::DnsServer;
using testing::LoopbackServer;

const std::string kKeyAuthorization = "token.thumbprint";

// Every name is 127.0.0.1 and has no IPv6 address.
Bytes loopback_zone(const DnsQuestion& asked, ByteView question) {
  return asked.type == 1
             ? DnsServer::message(0x8180, question, 1, DnsServer::record(1, {127, 0, 0, 1}))
             : DnsServer::message(0x8180, question, 0);
}

struct World {
  DnsServer dns{loopback_zone};
  OsEntropy entropy;
  net::CaresResolver resolver{{.servers = {dns.endpoint()}}, entropy};
  net::SocketDialer dialer;
  net::Egress egress{resolver, dialer};

  ValidationOutcome validate(const Http01Options& options, net::AddressPolicyOptions addresses) {
    return Http01(options, egress)
        .validate({.identifier = {IdentifierType::dns, "a.test"},
                   .token = "token",
                   .key_authorization = kKeyAuthorization,
                   .account_url = "",
                   .addresses = std::move(addresses)},
                  Deadline::in(std::chrono::seconds(20)));
  }
};

const net::AddressPolicyOptions kLoopback = {.allowed = testing::prefixes({"127.0.0.1"}),
                                             .denied = {}};

}  // namespace

TEST_CASE("no octet reaches a listener on loopback unless the profile names it") {
  World world;
  int connections = 0;
  {
    LoopbackServer server([&](int) { ++connections; });
    const auto outcome = world.validate({.port = server.port(), .redirect_ports = {}}, {});
    REQUIRE(outcome.problem);
    CHECK(outcome.problem->type == ProblemType::dns);
  }
  CHECK(connections == 0);
}

TEST_CASE("a site on loopback passes where the profile names it") {
  World world;
  std::string request;
  {
    LoopbackServer server([&](int fd) {
      request = LoopbackServer::read_request(fd);
      LoopbackServer::send_all(
          fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + kKeyAuthorization + "\n");
    });
    const auto outcome = world.validate({.port = server.port(), .redirect_ports = {}}, kLoopback);
    CHECK_FALSE(outcome.problem);
    CHECK(request.starts_with("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: a.test:" +
                              std::to_string(server.port()) + "\r\n"));
  }
}

TEST_CASE("a tarpit costs no more than the validator's timeout") {
  World world;
  LoopbackServer server([&](int fd) {
    LoopbackServer::read_request(fd);
    LoopbackServer::send_all(fd, "HTTP/1.1 200 OK\r\n");
    char c = 0;
    while (::recv(fd, &c, 1, 0) > 0) {
    }
  });
  const auto outcome = world.validate(
      {.port = server.port(), .redirect_ports = {}, .timeout = std::chrono::seconds(1)}, kLoopback);
  REQUIRE(outcome.problem);
  CHECK(outcome.problem->type == ProblemType::connection);
  CHECK(outcome.problem->detail.find("sent nothing more in time") != std::string::npos);
}

TEST_CASE("a redirect to a site whose certificate has expired passes") {
  World world;
  testing::TlsPeer peer({.alpn = "http/1.1", .expired = true});
  LoopbackServer secure(
      [&](int fd) { peer.serve(fd, "HTTP/1.1 200 OK\r\n\r\n" + kKeyAuthorization); });
  LoopbackServer plain([&](int fd) {
    LoopbackServer::read_request(fd);
    LoopbackServer::send_all(
        fd, "HTTP/1.1 301 Moved\r\nLocation: https://b.test:" + std::to_string(secure.port()) +
                "/x\r\nContent-Length: 0\r\n\r\n");
  });
  const auto outcome =
      world.validate({.port = plain.port(), .redirect_ports = {secure.port()}}, kLoopback);
  CHECK_FALSE(outcome.problem);
}

TEST_CASE("one validator serves many threads") {
  World world;
  LoopbackServer server([&](int fd) {
    LoopbackServer::read_request(fd);
    LoopbackServer::send_all(fd, "HTTP/1.1 200 OK\r\n\r\n" + kKeyAuthorization);
  });
  Http01 validator({.port = server.port(), .redirect_ports = {}}, world.egress);
  std::atomic<int> proven = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      const auto outcome = validator.validate(
          {.identifier = {IdentifierType::dns, "n" + std::to_string(i) + ".test"},
           .token = "token",
           .key_authorization = i % 2 == 0 ? kKeyAuthorization : "another",
           .account_url = "",
           .addresses = kLoopback},
          Deadline::in(std::chrono::seconds(60)));
      if (!outcome.problem) ++proven;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(proven == 8);
}

}  // namespace gatehouse::validators
