// SocketDialer, TlsStream and HttpClient against real peers on loopback.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/un.h>

#include <csignal>
#include <filesystem>

#include "acme-server/net/http_client.h"
#include "acme-server/net/socket_dialer.h"
#include "acme-server/net/tls_stream.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/loopback_server.h"
#include "tests/support/no_descriptors.h"
#include "tests/support/prefixes.h"
#include "tests/support/tls_peer.h"

namespace gatehouse::net {

namespace {

using testing::LoopbackServer;
using testing::TlsPeer;

Deadline soon() {
  return Deadline::in(std::chrono::seconds(20));
}

Endpoint at(const LoopbackServer& server) {
  return Endpoint::parse(server.endpoint()).value();
}

Expected<std::unique_ptr<TlsStream>, IoError> connect_tls(const LoopbackServer& server,
                                                          const TlsOptions& options) {
  SocketDialer dialer;
  auto stream = dialer.dial(at(server), soon());
  REQUIRE(stream);
  return TlsStream::connect(std::move(*stream), options, soon());
}

std::string read_all(Stream& stream) {
  std::string text;
  Bytes chunk(1000);
  while (true) {
    const auto count = stream.read(chunk, soon());
    REQUIRE(count);
    if (*count == 0) return text;
    text += as_text(ByteView(chunk).first(*count));
  }
}

}  // namespace

TEST_CASE("a port where nobody listens refuses") {
  const testing::LoopbackSocket bound(SOCK_STREAM);  // bound, not listening
  const auto stream = SocketDialer().dial(Endpoint::parse(bound.endpoint()).value(), soon());
  REQUIRE_FALSE(stream);
  CHECK(stream.error().kind == DialError::Kind::refused);
}

TEST_CASE("out of descriptors, a dial fails as ours and not as the peer's") {
  LoopbackServer server([](int) {});
  const auto to = at(server);
  const auto thrown =
      testing::thrown_without_descriptors([&] { (void)SocketDialer().dial(to, soon()); });
  REQUIRE(thrown);
  CHECK_THROWS_AS(std::rethrow_exception(thrown), std::system_error);
}

TEST_CASE("a peer that stays silent costs no more than the deadline") {
  LoopbackServer server([](int fd) { LoopbackServer::read_request(fd); });
  auto stream = SocketDialer().dial(at(server), soon());
  REQUIRE(stream);
  Bytes out(10);
  const auto count = (*stream)->read(out, Deadline::in(std::chrono::milliseconds(30)));
  REQUIRE_FALSE(count);
  CHECK(count.error().kind == IoError::Kind::timeout);

  const auto tls =
      TlsStream::connect(std::move(*stream), {}, Deadline::in(std::chrono::milliseconds(30)));
  REQUIRE_FALSE(tls);
  CHECK(tls.error().kind == IoError::Kind::timeout);
}

TEST_CASE("a peer that takes nothing stops a write at the deadline") {
  const testing::LoopbackSocket listening(SOCK_STREAM);
  REQUIRE(::listen(listening.fd(), 1) == 0);  // the kernel accepts, nobody reads
  auto stream = SocketDialer().dial(Endpoint::parse(listening.endpoint()).value(), soon());
  REQUIRE(stream);
  const Bytes much(64 * 1024 * 1024, 'x');
  const auto error = (*stream)->write(much, Deadline::in(std::chrono::milliseconds(50)));
  REQUIRE(error);
  CHECK(error->kind == IoError::Kind::timeout);
}

TEST_CASE("what is written arrives, what is answered is read up to the end") {
  LoopbackServer server(
      [](int fd) { LoopbackServer::send_all(fd, "you said " + LoopbackServer::read_request(fd)); });
  auto stream = SocketDialer().dial(at(server), soon());
  REQUIRE(stream);
  REQUIRE_FALSE((*stream)->write(as_bytes("hello\r\n\r\n"), soon()));
  CHECK(read_all(**stream) == "you said hello\r\n\r\n");
}

TEST_CASE("a unix socket is dialed, and nobody behind it is told from no way to it") {
  std::string folder = "/tmp/gatehouse-net-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/socket";
  const auto kind_of = [](const std::string& at) {
    const auto stream = dial_unix(at, soon());
    REQUIRE_FALSE(stream);
    return stream.error().kind;
  };
  CHECK(kind_of(path) == DialError::Kind::refused);
  CHECK(kind_of(folder + "/" + std::string(200, 'x')) == DialError::Kind::unreachable);
  CHECK(kind_of("") == DialError::Kind::unreachable);

  const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(kind_of(path) == DialError::Kind::refused);  // bound, and nobody listens
  REQUIRE(::listen(listening, 1) == 0);
  auto stream = dial_unix(path, soon());
  REQUIRE(stream);
  const int accepted = ::accept(listening, nullptr, nullptr);
  LoopbackServer::send_all(accepted, "hello");
  ::close(accepted);
  CHECK(read_all(**stream) == "hello");

  // A backlog of one is full with two; more wait until the deadline.
  const auto first = dial_unix(path, soon());
  const auto second = dial_unix(path, soon());
  REQUIRE(second);
  const auto third = dial_unix(path, Deadline::in(std::chrono::milliseconds(30)));
  REQUIRE_FALSE(third);
  CHECK(third.error().kind == DialError::Kind::timeout);
  ::close(listening);
  std::filesystem::remove_all(folder);
}

TEST_CASE("TLS shows the peer's certificate, version and protocol, and trusts nobody") {
  for (const bool expired : {false, true}) {
    TlsPeer peer({.alpn = "acme-tls/1", .expired = expired});
    std::string request;
    {
      LoopbackServer server([&](int fd) { request = peer.serve(fd, std::string(50'000, 'y')); });
      const auto tls = connect_tls(server, {.server_name = "a.test", .alpn = {"h2", "acme-tls/1"}});
      REQUIRE(tls);
      CHECK((*tls)->version() == "TLSv1.3");
      CHECK((*tls)->negotiated_alpn() == "acme-tls/1");
      CHECK((*tls)->peer_certificate_der() == peer.certificate_der());
      REQUIRE_FALSE((*tls)->write(as_bytes("hello\r\n\r\n"), soon()));
      CHECK(read_all(**tls) == std::string(50'000, 'y'));
    }
    CHECK(request == "hello\r\n\r\n");
    CHECK(peer.server_name() == "a.test");
  }
}

TEST_CASE("without a name there is no SNI, without a common protocol no ALPN") {
  TlsPeer peer({.max_version = TLS1_2_VERSION, .alpn = "acme-tls/1"});
  {
    LoopbackServer server([&](int fd) { peer.serve(fd, ""); });
    const auto tls = connect_tls(server, {.server_name = "", .alpn = {"http/1.1"}});
    REQUIRE(tls);
    CHECK((*tls)->version() == "TLSv1.2");
    CHECK((*tls)->negotiated_alpn() == "");
  }
  CHECK(peer.server_name() == "");
}

TEST_CASE("less than TLS 1.2 is refused") {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    TlsPeer peer({.max_version = version, .alpn = ""});
    LoopbackServer server([&](int fd) { peer.serve(fd, "x"); });
    const auto tls = connect_tls(server, {.server_name = "a.test", .alpn = {}});
    REQUIRE_FALSE(tls);
    CHECK(tls.error().kind == IoError::Kind::tls);
  }
}

TEST_CASE("a peer that does not speak TLS is told from one that does") {
  for (const std::string& greeting :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("")}) {
    LoopbackServer server([&](int fd) { LoopbackServer::send_all(fd, greeting); });
    const auto tls = connect_tls(server, {.server_name = "a.test", .alpn = {}});
    REQUIRE_FALSE(tls);
    CHECK(tls.error().kind != IoError::Kind::timeout);
  }
}

TEST_CASE("a peer that sends records without data is read for a while, not up to the deadline") {
  (void)std::signal(SIGPIPE, SIG_IGN);  // the peer writes to a client that has gone
  for (const auto& [updates, read] : {std::pair(100, true), std::pair(12'000, false)}) {
    TlsPeer peer({.alpn = {}, .key_updates = updates});
    LoopbackServer server([&](int fd) { peer.serve(fd, "hello"); });
    auto stream = connect_tls(server, {});
    REQUIRE(stream);
    REQUIRE_FALSE((*stream)->write(as_bytes("GET / HTTP/1.1\r\n\r\n"), soon()));
    Bytes out(100);
    const auto count = (*stream)->read(out, soon());
    CHECK(count.has_value() == read);
    if (!count) {
      CHECK(count.error().kind == IoError::Kind::tls);
      CHECK(count.error().detail == "sent too many TLS records without data");
    }
  }
}

TEST_CASE("a redirect to https needs no certificate that anybody trusts") {
  TlsPeer peer({.alpn = "http/1.1", .expired = true});
  std::string request;
  {
    LoopbackServer secure([&](int fd) {
      request = peer.serve(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    });
    LoopbackServer plain([&](int fd) {
      LoopbackServer::read_request(fd);
      LoopbackServer::send_all(
          fd, "HTTP/1.1 301 Moved\r\nLocation: https://a.test:" + std::to_string(secure.port()) +
                  "/y\r\nContent-Length: 0\r\n\r\n");
    });
    testing::FakeResolver resolver;
    resolver.add_address("a.test", "127.0.0.1");
    SocketDialer dialer;
    Egress egress(resolver, dialer);
    Trail trail;
    const HttpGet get{
        .url = parse_url("http://a.test:" + std::to_string(plain.port()) + "/x").value(),
        .policy = AddressPolicy({.allowed = testing::prefixes({"127.0.0.1"}), .denied = {}}),
        .user_agent = "Test",
        .max_body = 100,
        .ports = {plain.port(), secure.port()}};
    const auto answer = HttpClient(egress).get(get, soon(), trail);
    REQUIRE(answer);
    CHECK(answer->response.body == "hello");
    CHECK(answer->url.scheme == "https");
  }
  CHECK(request.starts_with("GET /y HTTP/1.1\r\nHost: a.test:"));
  CHECK(peer.server_name() == "a.test");
}

}  // namespace gatehouse::net
