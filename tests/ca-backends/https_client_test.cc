// What the server certainly has not read, what it may have read, and that nothing is sent twice:
// against a server of plain sockets, which may end a connection at any moment.
#include "ca-backends/https/https_client.h"

#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "acme-server/base/url.h"
#include "acme-server/net/http_response.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/loopback_server.h"
#include "tests/support/manual_clock.h"
#include "tests/support/tls_identity.h"

namespace gatehouse::backends {
namespace {

using std::chrono::seconds;
using testing::TlsIdentity;
using testing::TlsUse;

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// A TLS connection as the server has it.
class Connection {
 public:
  explicit Connection(SSL* ssl) : ssl_(ssl) {}

  // A head and what stands behind it by Content-Length.
  std::string read() {
    std::string text;
    std::size_t wanted = std::string::npos;
    char c = 0;
    while (text.size() < wanted && SSL_read(ssl_, &c, 1) == 1) {
      text += c;
      if (wanted != std::string::npos || !text.ends_with("\r\n\r\n")) continue;
      const std::size_t at = text.find("Content-Length: ");
      wanted = text.size() + (at == std::string::npos ? 0 : std::stoul(text.substr(at + 16)));
    }
    return text;
  }

  void write(const std::string& text) {
    SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
  }

 private:
  SSL* ssl_;
};

struct World {
  using Serve = std::function<void(Connection&)>;

  explicit World(Serve given)
      : serve(std::move(given)), context(SSL_CTX_new(TLS_server_method())), server([this](int fd) {
          const std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(context.get()));
          SSL_set_fd(ssl.get(), fd);
          if (SSL_accept(ssl.get()) != 1) {
            // What came is read, or the reset would overtake the alert.
            char c = 0;
            while (::recv(fd, &c, 1, 0) == 1) continue;
            return;
          }
          ++connections;
          Connection connection(ssl.get());
          serve(connection);
        }) {
    const auto reader = [](const std::string& text) {
      return std::unique_ptr<BIO, decltype(&BIO_free)>(
          BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
    };
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(reader(identity.certificate_pem).get(), nullptr, nullptr, nullptr),
        &X509_free);
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        PEM_read_bio_PrivateKey(reader(identity.key_pem).get(), nullptr, nullptr, nullptr),
        &EVP_PKEY_free);
    REQUIRE(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
    files.files["tls.pem"] = identity.certificate_pem;
  }

  HttpsOptions options() const {
    HttpsOptions made;
    made.url = parse_url("https://localhost:" + std::to_string(server.port())).value();
    made.ca = {"tls.pem"};
    made.timeout = seconds(10);
    return made;
  }

  HttpsOutcome send(const HttpsOptions& with) {
    HttpsClient client("corp", with, files.context());
    return client.send({.url = with.url.origin() + "/x", .body = "the request", .headers = {}},
                       Deadline::in(seconds(20)));
  }

  TlsIdentity identity = testing::make_tls_identity("localhost");
  testing::ManualClock clock{SystemClock().now()};  // TLS has the date of the day
  testing::LocalCaFiles files{clock};
  Serve serve;
  std::atomic<int> connections = 0;
  std::unique_ptr<SSL_CTX, FreeSsl> context;
  testing::LoopbackServer server;
};

std::string lost(const HttpsOutcome& outcome) {
  const auto* is = std::get_if<HttpsLost>(&outcome);
  return is == nullptr ? "" : is->why;
}

}  // namespace

TEST_CASE("a request whose connection ends without an answer is lost, and is not sent again") {
  std::atomic<int> requests = 0;
  for (const std::string answer : {"", "HTTP/1.1 200 OK\r\n",
                                   "HTTP/1.1 200 OK\r\nContent-Length: "
                                   "9\r\n\r\nhalf"}) {
    CAPTURE(answer);
    requests = 0;
    World world([&](Connection& connection) {
      if (connection.read().ends_with("the request")) ++requests;
      connection.write(answer);
    });
    const HttpsOutcome outcome = world.send(world.options());
    CHECK(lost(outcome).find("gave no whole answer") != std::string::npos);
    CHECK(requests == 1);
    CHECK(world.connections == 1);
  }
}

TEST_CASE("a request with a digest is not sent again when its connection ends") {
  std::atomic<int> with_digest = 0;
  World world([&](Connection& connection) {
    for (;;) {
      const std::string request = connection.read();
      if (request.empty()) return;
      if (request.find("Authorization: Digest ") != std::string::npos) {
        ++with_digest;
        return;
      }
      CHECK(request.find("the request") == std::string::npos);  // nothing but the question
      connection.write(
          "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n"
          "Content-Length: 0\r\n\r\n");
    }
  });
  world.files.files["password"] = "x";
  HttpsOptions options = world.options();
  options.user = "gateway";
  options.password = "file:password";
  options.authentication = HttpAuthentication::digest;
  CHECK(lost(world.send(options)) != "");
  CHECK(with_digest == 1);
}

TEST_CASE("interim answers are passed over, and headers without an end are not read to the end") {
  World world([](Connection& connection) {
    connection.read();
    connection.write(
        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 202 Later\r\nRetry-After: 5\r\n"
        "Content-Length: 2\r\n\r\nok");
  });
  const HttpsOutcome outcome = world.send(world.options());
  REQUIRE(std::holds_alternative<net::HttpResponse>(outcome));
  const auto& answer = std::get<net::HttpResponse>(outcome);
  CHECK(answer.status == 202);
  CHECK(answer.body == "ok");
  CHECK_FALSE(answer.header("link"));
  CHECK(retry_after_of(answer, world.clock.now()) == seconds(5));

  World endless([](Connection& connection) {
    connection.read();
    connection.write("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100; ++i) connection.write("X: " + std::string(1000, 'x') + "\r\n");
  });
  CHECK(lost(endless.send(endless.options())).find("65536 of headers") != std::string::npos);
}

TEST_CASE("a server that is too old for tls.minimum is not asked") {
  World world([](Connection& connection) { connection.read(); });
  SSL_CTX_set_max_proto_version(world.context.get(), TLS1_2_VERSION);
  HttpsOptions options = world.options();
  CHECK(lost(world.send(options)) != "");
  options.least_tls = LeastTls::tls_1_3;
  CHECK(std::holds_alternative<HttpsNotSent>(world.send(options)));
  CHECK(world.connections == 1);
}

TEST_CASE("a server that refuses our certificate has not read the request, in TLS 1.3 either") {
  for (const bool shown : {false, true}) {
    CAPTURE(shown);
    World world([](Connection& connection) { connection.read(); });
    SSL_CTX_set_verify(world.context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       nullptr);
    const TlsIdentity foreign = testing::make_tls_identity("x", TlsUse::client);
    world.files.files["x.pem"] = foreign.certificate_pem;
    world.files.files["x.key"] = foreign.key_pem;
    HttpsOptions options = world.options();
    if (shown) {
      options.certificate = "x.pem";
      options.key = "x.key";
    }
    const HttpsOutcome outcome = world.send(options);
    REQUIRE(std::holds_alternative<HttpsNotSent>(outcome));
    CHECK(std::get<HttpsNotSent>(outcome).why.find("it refuses our TLS certificate") !=
          std::string::npos);
    CHECK(world.connections == 0);
  }
}

TEST_CASE("no more requests run at once than allowed, and who finds no place has sent nothing") {
  World world([](Connection&) { FAIL("nothing was to be sent"); });
  HttpsOptions options = world.options();
  options.at_once = 0;
  const HttpsOutcome outcome = [&] {
    HttpsClient client("corp", options, world.files.context());
    return client.send({.url = options.url.origin(), .body = std::nullopt, .headers = {}},
                       Deadline::in(std::chrono::milliseconds(20)));
  }();
  REQUIRE(std::holds_alternative<HttpsNotSent>(outcome));
  CHECK(std::get<HttpsNotSent>(outcome).why.find("backends.corp.at_once") != std::string::npos);
}

}  // namespace gatehouse::backends
