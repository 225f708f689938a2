#include <doctest/doctest.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tests/http/served.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace gatehouse::testing {
namespace {

using http::Request;
using http::Respond;
using std::chrono::milliseconds;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};

using Session = std::unique_ptr<SSL_SESSION, FreeSession>;

// "version|sni|has client certificate".
void tell_peer(Request request, Respond respond) {
  respond(text_response(request.peer.tls_version + "|" + request.peer.sni + "|" +
                        request.peer.client_cert_der));
}

void present(SSL_CTX* context, const TlsIdentity& identity) {
  const std::unique_ptr<BIO, int (*)(BIO*)> certificate(
      BIO_new_mem_buf(identity.certificate_pem.data(),
                      static_cast<int>(identity.certificate_pem.size())),
      BIO_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> key(
      BIO_new_mem_buf(identity.key_pem.data(), static_cast<int>(identity.key_pem.size())),
      BIO_free);
  X509* const x509 = PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr);
  EVP_PKEY* const pkey = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
  REQUIRE(SSL_CTX_use_certificate(context, x509) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context, pkey) == 1);
  X509_free(x509);
  EVP_PKEY_free(pkey);
}

std::string presented_by(const Client& client) {
  X509* const certificate = SSL_get1_peer_certificate(client.ssl());
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate, &der);
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  X509_free(certificate);
  return result;
}

TEST_CASE("TLS 1.2 and 1.3 are spoken, older ones refused") {
  Served served(tell_peer, {}, {tls_listener(server_identity())});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto context = client_context();
    SSL_CTX_set_max_proto_version(context.get(), version);
    auto client = served.connect();
    REQUIRE(client.start_tls(context.get(), "name.test"));
    CHECK(client.ask(kGet).body ==
          (version == TLS1_2_VERSION ? "TLSv1.2|name.test|" : "TLSv1.3|name.test|"));
  }
  std::uint64_t failed = 0;
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    const auto context = client_context();
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
    REQUIRE(SSL_CTX_set_min_proto_version(context.get(), version) == 1);
    REQUIRE(SSL_CTX_set_max_proto_version(context.get(), version) == 1);
    auto client = served.connect();
    CHECK_FALSE(client.start_tls(context.get()));
    ++failed;
    CHECK(eventually([&] { return served.engine.stats().failed_handshakes == failed; }));
  }
}

TEST_CASE("a listener for TLS 1.3 alone refuses 1.2") {
  auto listener = tls_listener(server_identity());
  listener.tls->min_version = http::TlsVersion::tls_1_3;
  Served served(tell_peer, {}, {std::move(listener)});
  const auto context = client_context();
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  CHECK_FALSE(served.connect().start_tls(context.get()));
  CHECK(served.connect().start_tls(client_context().get()));
}

TEST_CASE("ALPN gives http/1.1 or nothing") {
  Served served(echo, {}, {tls_listener(server_identity())});
  const auto negotiate = [&](const std::string& offered) -> std::string {
    const auto context = client_context();
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                            static_cast<unsigned>(offered.size()));
    auto client = served.connect();
    if (!client.start_tls(context.get())) return "refused";
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(client.ssl(), &name, &length);
    return {reinterpret_cast<const char*>(name), length};
  };
  CHECK(negotiate("\x02h2\x08http/1.1") == "http/1.1");
  CHECK(negotiate("\x02h2") == "refused");
  CHECK(negotiate("\x0a"
                  "acme-tls/1") == "refused");
  CHECK(served.connect().start_tls(client_context().get()));  // without ALPN
}

TEST_CASE("silent handshakes do not delay an honest client, and end at their deadline") {
  Served served(echo, {.handshake = milliseconds(500)}, {tls_listener(server_identity())});
  std::vector<Client> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(served.connect());
  silent.front().send("\x16\x03\x01");  // begun, and left
  CHECK(eventually([&] { return served.engine.stats().handshakes == 50; }));
  const auto context = client_context();
  auto honest = served.connect();
  REQUIRE(honest.start_tls(context.get()));
  CHECK(honest.ask(kGet).status == 200);
  for (Client& client : silent) CHECK(client.ended());
  CHECK(served.engine.stats().failed_handshakes == 50);
  CHECK(honest.ask(kGet).status == 200);
}

TEST_CASE("when too many handshakes are silent, the oldest gives way to an honest client") {
  Served served(echo, {.handshakes = 10, .handshake = std::chrono::seconds(60)},
                {tls_listener(server_identity())});
  auto oldest = served.connect();
  CHECK(eventually([&] { return served.engine.stats().handshakes == 1; }));
  std::vector<Client> silent;
  for (int i = 0; i < 9; ++i) silent.push_back(served.connect());
  CHECK(eventually([&] { return served.engine.stats().handshakes == 10; }));
  auto honest = served.connect();
  REQUIRE(honest.start_tls(client_context().get()));
  CHECK(honest.ask(kGet).status == 200);
  CHECK(oldest.ended());
  CHECK(served.engine.stats().refused == 1);
  CHECK(served.engine.stats().handshakes == 9);
}

TEST_CASE("garbage in place of a record ends the one connection") {
  Served served(echo, {}, {tls_listener(server_identity())});
  auto plain = served.connect();
  plain.send(kGet);
  plain.receive_to_end();
  auto broken = served.connect();
  REQUIRE(broken.start_tls(client_context().get()));
  CHECK(broken.ask(kGet).status == 200);
  REQUIRE(::send(broken.socket(), "\x17\x03\x03\x00\x10garbagegarbagega", 21, 0) == 21);
  CHECK(broken.receive().status == 0);
  auto other = served.connect();
  REQUIRE(other.start_tls(client_context().get()));
  CHECK(other.ask(kGet).status == 200);
  CHECK(eventually([&] { return served.engine.stats().connections == 1; }));
}

TEST_CASE("plain HTTP on a TLS port is told to use https://") {
  auto listener = tls_listener(server_identity());
  listener.origins = {"http://acme.example", "https://acme.example"};
  Served served(echo, {}, {std::move(listener), tls_listener(server_identity(), "nameless")});
  for (const char* sent : {"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE", "P",
                           "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"}) {
    CAPTURE(sent);
    auto plain = served.connect();
    const Answer answer = plain.ask(sent);
    CHECK(answer.status == 400);
    CHECK(answer.field("Content-Type") == "text/plain; charset=utf-8");
    CHECK(answer.field("Connection") == "close");
    CHECK(answer.body ==
          "This port speaks TLS, and the request came in plain HTTP. Use https:// in place of "
          "http://, as in https://acme.example.\n");
    CHECK(plain.ended());
  }
  auto head = served.connect();
  head.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(head.receive(true).status == 400);
  CHECK(head.ended());
  CHECK(served.connect(1).ask(kGet).body.ends_with("http://.\n"));
  CHECK(eventually([&] { return served.engine.stats().connections == 0; }));
  CHECK(served.engine.stats().handshakes == 0);
  CHECK(served.engine.stats().rejected == 6);
}

TEST_CASE("TLS on a plain port is refused in words, and at once") {
  Served served(echo);
  auto client = served.connect();
  CHECK_FALSE(client.start_tls(client_context().get()));
  auto raw = served.connect();
  CHECK(raw.ask("\x16\x03\x01").body.find("plain HTTP; use http://") != std::string::npos);
  CHECK(raw.ended());
}

TEST_CASE("a request larger than a record, and many in one, are read to the last octet") {
  Served served(echo, {}, {tls_listener(server_identity())});
  auto client = served.connect();
  REQUIRE(client.start_tls(client_context().get()));
  const std::string body(65000, 'x');
  CHECK(client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65000\r\n\r\n" + body).body ==
        "POST / [" + body + "]");
  std::string many;
  for (int i = 0; i < 100; ++i) many += kGet;
  client.send(many);
  for (int i = 0; i < 100; ++i) CHECK(client.receive().body == "GET /a []");
}

TEST_CASE("client certificates are asked for, verified, and known again on resumption") {
  const auto ca = make_tls_identity("Client CA", TlsUse::ca);
  const auto known = make_tls_identity("client.test", TlsUse::client, &ca);
  const auto stranger = make_tls_identity("stranger.test", TlsUse::client);
  auto listener = tls_listener(server_identity());
  listener.tls->client_ca_pem = ca.certificate_pem;
  Served served(tell_peer, {}, {std::move(listener)});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    const auto with_none = client_context();
    SSL_CTX_set_max_proto_version(with_none.get(), version);
    auto anonymous = served.connect();
    REQUIRE(anonymous.start_tls(with_none.get()));
    CHECK(anonymous.ask(kGet).body.ends_with("|server.test|"));

    const auto with_strange = client_context();
    SSL_CTX_set_max_proto_version(with_strange.get(), version);
    present(with_strange.get(), stranger);
    auto refused = served.connect();
    if (refused.start_tls(with_strange.get())) CHECK(refused.ask(kGet).status == 0);

    const auto with_known = client_context();
    SSL_CTX_set_max_proto_version(with_known.get(), version);
    SSL_CTX_set_session_cache_mode(with_known.get(), SSL_SESS_CACHE_CLIENT);
    present(with_known.get(), known);
    Session session;
    for (int round = 0; round < 3; ++round) {
      CAPTURE(round);
      auto client = served.connect();
      REQUIRE(client.start_tls(with_known.get(), "server.test", session.get()));
      const auto told = client.ask(kGet).body;
      CHECK(told.ends_with("|server.test|" + known.certificate_der));
      CHECK((SSL_session_reused(client.ssl()) == 1) == (round > 0));
      session.reset(SSL_get1_session(client.ssl()));
      SSL_shutdown(client.ssl());
    }
  }
}

TEST_CASE("a new certificate is served at once, and no connection is lost to it") {
  const auto second = make_tls_identity("second.test");
  Served served(echo, {}, {tls_listener(server_identity())});
  auto open = served.connect();
  REQUIRE(open.start_tls(client_context().get()));
  CHECK(presented_by(open) == server_identity().certificate_der);

  std::atomic<bool> done = false;
  std::atomic<int> failures = 0;
  std::atomic<int> served_requests = 0;
  {
    std::vector<std::jthread> load;
    for (int i = 0; i < 2; ++i) {
      load.emplace_back([&] {
        const auto context = client_context();
        while (!done) {
          auto client = served.connect();
          if (!client.start_tls(context.get()) || client.ask(kGet).status != 200) ++failures;
          ++served_requests;
        }
      });
    }
    for (int i = 0; i < 20; ++i) {
      const int before = served_requests;
      served.engine.reload_tls("acme", tls_options(i % 2 == 0 ? second : server_identity()));
      CHECK(eventually([&] { return served_requests > before + 1; }));
    }
    served.engine.reload_tls("acme", tls_options(second));
    done = true;
  }
  CHECK(failures == 0);
  CHECK(open.ask(kGet).status == 200);
  auto fresh = served.connect();
  REQUIRE(fresh.start_tls(client_context().get()));
  CHECK(presented_by(fresh) == second.certificate_der);
}

TEST_CASE("a pair that does not fit is refused and changes nothing") {
  const auto other = make_tls_identity("other.test");
  Served served(echo, {}, {tls_listener(server_identity()), plain_listener("plain")});
  auto mixed = tls_options(other);
  mixed.private_key_pem = Secret(server_identity().key_pem);
  auto no_key = tls_options(other);
  no_key.private_key_pem = Secret("nonsense");
  auto no_certificate = tls_options(other);
  no_certificate.certificate_chain_pem = "";
  auto cut = tls_options(other);
  cut.certificate_chain_pem.resize(cut.certificate_chain_pem.size() / 2);
  auto bad_ca = tls_options(other);
  bad_ca.client_ca_pem = "nonsense";
  for (const auto& options : {mixed, no_key, no_certificate, cut, bad_ca}) {
    CHECK_THROWS_WITH_AS(served.engine.reload_tls("acme", options),
                         doctest::Contains("listener \"acme\""), std::runtime_error);
  }
  CHECK_THROWS_AS(served.engine.reload_tls("plain", tls_options(other)), std::runtime_error);
  CHECK_THROWS_AS(served.engine.reload_tls("nobody", tls_options(other)), std::runtime_error);
  auto client = served.connect();
  REQUIRE(client.start_tls(client_context().get()));
  CHECK(presented_by(client) == server_identity().certificate_der);
}

std::size_t heap_in_use() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return __sanitizer_get_current_allocated_bytes();
#else
  return mallinfo2().uordblks;
#endif
}

// The clients live in a process of their own, so that the heap measured is the server's.
TEST_CASE("an idle TLS connection costs at most 20 kB") {
  constexpr int kConnections = 400;
  server_identity();
  int to_child[2];
  int from_child[2];
  REQUIRE(pipe(to_child) == 0);
  REQUIRE(pipe(from_child) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(to_child[1]);
    http::ListenerAddress address{
        .listener = "acme", .address = "127.0.0.1", .port = 0, .unix_path = {}};
    char told = 0;
    if (read(to_child[0], &address.port, sizeof(address.port)) == sizeof(address.port)) {
      const auto context = client_context();
      std::vector<Client> clients;
      int good = 0;
      for (int i = 0; i < kConnections; ++i) {
        clients.push_back(Client::to(address));
        good += clients.back().start_tls(context.get()) && clients.back().ask(kGet).status == 200;
      }
      told = good == kConnections;
      (void)!write(from_child[1], &told, 1);
      (void)!read(to_child[0], &told, 1);
    }
    _exit(0);
  }
  close(to_child[0]);
  {
    Served served(echo, {}, {tls_listener(server_identity())});
    {
      auto warm = served.connect();
      REQUIRE(warm.start_tls(client_context().get()));
      CHECK(warm.ask(kGet).status == 200);
    }
    CHECK(eventually([&] { return served.engine.stats().connections == 0; }));
    const auto before = heap_in_use();
    const auto port = served.addresses[0].port;
    REQUIRE(write(to_child[1], &port, sizeof(port)) == sizeof(port));
    char told = 0;
    REQUIRE(read(from_child[0], &told, 1) == 1);
    CHECK(told == 1);
    CHECK(eventually([&] { return served.engine.stats().in_flight == 0; }));
    CHECK(served.engine.stats().connections == kConnections);
    const auto each = (heap_in_use() - before) / kConnections;
    MESSAGE("heap per idle TLS connection: " << each << " bytes");
    // OpenSSL 3.5's connections are larger, and keep the client's ML-KEM share: 6.5 kB of them.
    CHECK(each < (OPENSSL_VERSION_NUMBER >= 0x30500000L ? 32'000 : 20'000));
    close(to_child[1]);
    waitpid(child, nullptr, 0);
  }
  close(from_child[0]);
  close(from_child[1]);
}

}  // namespace
}  // namespace gatehouse::testing
