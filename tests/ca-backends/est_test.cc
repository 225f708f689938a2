#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/backend.h"
#include "ca-backends/registry.h"
#include "tests/support/est_server.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/manual_clock.h"

namespace gatehouse::backends {
namespace {

namespace der = crypto::der;
using std::chrono::hours;
using std::chrono::seconds;
using testing::est_answer;
using testing::EstServer;

const std::string kPassword = "open sesame";  // what LocalCaFiles resolves each secret to

// A backend, the CA that it asks, and what a test has the CA answer to an enrolment.
struct World {
  using Enrol = std::function<std::optional<http::Response>(const http::Request&)>;

  explicit World(Enrol answer)
      : enrol(std::move(answer)), server([this](const http::Request& request) {
          if (request.method == "POST") return enrol(request);
          return std::optional(get(request));
        }) {
    files.files["tls.pem"] = EstServer::tls_ca().certificate_pem;
    files.files["ra.pem"] = EstServer::client().certificate_pem;
    files.files["ra.key"] = EstServer::client().key_pem;
  }

  Backend backend(const Json& more = Json::object()) {
    Json options = testing::least_est_options(server.url());
    options.update(more);
    return make_backend("corp", JsonObject(options, "backends.corp"), files.context());
  }

  Intent intent(Backend& of) {
    return of.certificates->prepare({.order = OrderId("order"),
                                     .identifiers = {{IdentifierType::dns, "a.test"}},
                                     .csr_der = crypto::make_csr(*key, {"a.test"}, {}),
                                     .spki = key->public_key(),
                                     .profile = {},
                                     .not_before = std::nullopt,
                                     .not_after = std::nullopt,
                                     .now = clock.now()});
  }

  IssueOutcome submit(const Json& more = Json::object()) {
    Backend asking = backend(more);
    return asking.certificates->submit(intent(asking), Deadline::in(seconds(20)));
  }

  // The leaf for the key of the tests' request.
  Bytes leaf() {
    crypto::CertificateTemplate made;
    made.serial = crypto::random_serial(files.entropy);
    made.issuer_name_der = files.issuer.certificate.subject_name_der;
    made.authority_key_id = files.issuer.certificate.subject_key_id;
    made.not_before = clock.now();
    made.not_after = clock.now() + hours(24 * 30);
    made.spki = key->public_key();
    made.dns_names = {"a.test"};
    made.key_usages = {"digitalSignature"};
    made.extended_key_usages = {"serverAuth"};
    return crypto::sign_certificate(crypto::make_tbs(made, files.issuer.key->algorithm()),
                                    *files.issuer.key);
  }

  http::Response get(const http::Request& request) const {
    if (request.target == "/.well-known/est/csrattrs") return csrattrs;
    return cacerts;
  }

  std::size_t posts() const {
    std::size_t count = 0;
    for (const auto& request : server.requests()) count += request.method == "POST" ? 1U : 0U;
    return count;
  }

  testing::ManualClock clock{SystemClock().now()};  // TLS has the date of the day
  testing::LocalCaFiles files{clock};
  std::unique_ptr<crypto::Signer> key =
      crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret());
  http::Response cacerts = est_answer(
      200, base64_encode(
               testing::certs_only({files.root.certificate.der, files.issuer.certificate.der})));
  http::Response csrattrs = est_answer(204, "");
  Enrol enrol;
  EstServer server;
};

World::Enrol always(int status, const std::string& body, std::vector<http::Header> headers = {}) {
  return [=](const http::Request&) { return std::optional(est_answer(status, body, headers)); };
}

// Lines as MIME has them.
std::string in_lines(const std::string& text, std::size_t columns) {
  std::string lines;
  for (std::size_t at = 0; at < text.size(); at += columns) {
    lines += text.substr(at, columns) + "\r\n";
  }
  return lines;
}

std::string without_padding(std::string text) {
  while (text.ends_with('=')) text.pop_back();
  return text;
}

std::string text_of(const Bytes& octets) {
  return std::string(as_text(octets));
}

}  // namespace

TEST_CASE("files that cannot serve are refused at start, by name") {
  World world(always(500, ""));
  const auto why = [&](const Json& more) {
    try {
      world.backend(more);
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto tls = [](const std::string& ca, const std::string& certificate,
                      const std::string& key) {
    return Json{{"tls", {{"ca", {ca}}, {"certificate", certificate}, {"key", key}}}};
  };
  CHECK(why(tls("tls.pem", "ra.pem", "ra.key")) == "");
  CHECK(why(tls("none.pem", "ra.pem", "ra.key")).find("none.pem: ") == 0);
  CHECK(why(tls("ra.key", "ra.pem", "ra.key")).find("ra.key: ") == 0);
  CHECK(why(tls("tls.pem", "ra.pem", "issuer.key")) ==
        "issuer.key: is not the key of the certificate in ra.pem");
  world.clock.advance(hours(24 * 400));
  CHECK(why(tls("tls.pem", "ra.pem", "ra.key")).find("ra.pem: has ended on ") == 0);
}

TEST_CASE("an enrolment is base64 of the CSR, with the password or the certificate") {
  for (const std::string by : {"password", "certificate", "both", "digest"}) {
    CAPTURE(by);
    World world(always(403, ""));
    Json more = Json::object();
    if (by == "certificate") more = {{"user", nullptr}, {"password", nullptr}};
    if (by == "certificate" || by == "both") {
      more["tls"] = {{"ca", {"tls.pem"}}, {"certificate", "ra.pem"}, {"key", "ra.key"}};
    }
    if (by == "digest") {
      more["authentication"] = "digest";
      world.enrol = [](const http::Request& request) {
        if (http::find_header(request.headers, "authorization") != nullptr) {
          return std::optional(est_answer(403, "seen"));
        }
        return std::optional(est_answer(
            401, "",
            {{"WWW-Authenticate", R"(Digest realm="est", qop="auth", nonce="n", algorithm=MD5)"}}));
      };
    }
    CHECK(std::holds_alternative<Refused>(world.submit(more)));
    const http::Request request = world.server.requests().back();
    CHECK(request.target == "/.well-known/est/simpleenroll");
    const auto header = [&](std::string_view name) {
      const std::string* value = http::find_header(request.headers, name);
      return value == nullptr ? std::string() : *value;
    };
    CHECK(header("content-type") == "application/pkcs10");
    CHECK(header("content-transfer-encoding") == "base64");
    CHECK(header("expect") == "");
    const auto csr = crypto::parse_csr(base64_decode(request.body).value());
    REQUIRE(csr);
    CHECK(csr->dns_names == std::vector<std::string>{"a.test"});
    const std::string basic = "Basic " + base64_encode(as_bytes("gateway:" + kPassword));
    if (by == "password" || by == "both") CHECK(header("authorization") == basic);
    if (by == "certificate") CHECK(header("authorization") == "");
    if (by == "digest") CHECK(header("authorization").starts_with("Digest username=\"gateway\""));
    CHECK((request.peer.client_cert_der == EstServer::client().certificate_der) ==
          (by == "certificate" || by == "both"));
  }
}

TEST_CASE("a certificate is read in each form that servers write, and chained to the anchor") {
  World world(always(500, ""));
  const Bytes leaf = world.leaf();
  const Bytes bag = testing::certs_only({leaf});
  const std::string base64 = base64_encode(bag);
  const std::string forms[] = {
      base64,
      in_lines(base64, 64),
      in_lines(base64, 76),
      without_padding(base64),
      in_lines(without_padding(base64), 64),
      "-----BEGIN PKCS7-----\n" + in_lines(base64, 64) + "-----END PKCS7-----\n",
      text_of(bag),
      crypto::to_pem(leaf),
      crypto::to_pem(world.files.root.certificate.der) + crypto::to_pem(leaf),
      base64_encode(leaf),
  };
  for (const std::string& form : forms) {
    CAPTURE(form);
    world.enrol = always(200, form, {{"Content-Type", "application/pkcs7-mime"}});
    const IssueOutcome outcome = world.submit();
    REQUIRE(std::holds_alternative<Issued>(outcome));
    CHECK(std::get<Issued>(outcome).chain_pem ==
          crypto::to_pem(leaf) + crypto::to_pem(world.files.issuer.certificate.der));
  }
}

TEST_CASE("each status is the outcome that its meaning allows, in words") {
  struct Row {
    int status;
    std::vector<http::Header> headers;
    std::string outcome, says;
    std::optional<seconds> retry_after = {};
  };

  const Row rows[] = {
      {202, {}, "pending", "", seconds(30)},
      {202, {{"Retry-After", "90"}}, "pending", "", seconds(90)},
      {202, {{"Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT"}}, "pending", "", seconds(0)},
      {202, {{"Retry-After", "Fri, 31 Dec 2100 00:00:00 GMT"}}, "pending", "", hours(24 * 30)},
      {202, {{"Retry-After", "soon"}}, "pending", "", seconds(30)},
      {401, {{"WWW-Authenticate", "Basic realm=\"est\""}}, "not sent", "user \"gateway\""},
      {401, {{"WWW-Authenticate", "Basic realm=\"est\""}}, "not sent", "it wants Basic realm"},
      {429, {{"Retry-After", "7"}}, "not sent", "HTTP 429: some words", seconds(7)},
      {503, {{"Retry-After", "600"}}, "not sent", "HTTP 503: some words", seconds(600)},
      {503, {}, "not sent", "HTTP 503: some words"},
      {302, {{"Location", "https://x.test/\""}}, "not sent", "https://x.test/\\\""},
      {307, {{"Location", "https://x.test/"}}, "not sent", "redirects to https://x.test/"},
      {303, {{"Location", "https://x.test/"}}, "in doubt", "HTTP 303"},
      {204, {}, "in doubt", "HTTP 204, which has no certificate in it"},
      {200, {}, "in doubt", "cannot be used"},
      {400, {}, "refused", "HTTP 400: some words"},
      {403, {}, "refused", "HTTP 403: some words"},
      {404, {}, "refused", "HTTP 404: some words"},
      {501, {}, "refused", "HTTP 501: some words"},
      {408, {}, "in doubt", "HTTP 408"},
      {500, {}, "in doubt", "HTTP 500: some words"},
      {502, {}, "in doubt", "HTTP 502"},
      {504, {}, "in doubt", "HTTP 504"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.status);
    CAPTURE(row.says);
    World world(always(row.status, row.status == 204 ? "" : "some\r\nwords", row.headers));
    const IssueOutcome outcome = world.submit();
    CHECK(world.posts() == 1);
    std::string is;
    std::string said;
    std::optional<seconds> later;
    if (const auto* pending = std::get_if<Pending>(&outcome)) {
      is = "pending";
      later = pending->ask_again_after;
    } else if (const auto* not_sent = std::get_if<NotSent>(&outcome)) {
      is = "not sent";
      said = not_sent->why;
      later = not_sent->retry_after;
    } else if (const auto* refused = std::get_if<Refused>(&outcome)) {
      is = "refused";
      said = refused->answer;
      CHECK(refused->problem.detail.find("some words") == std::string::npos);
    } else if (const auto* doubt = std::get_if<InDoubt>(&outcome)) {
      is = "in doubt";
      said = doubt->what_to_check;
      CHECK(said.find("gatehouse order adopt") != std::string::npos);
    }
    CHECK(is == row.outcome);
    CHECK_MESSAGE(said.find(row.says) != std::string::npos, said);
    CHECK(later == row.retry_after);
    CHECK(said.find(kPassword) == std::string::npos);
  }
}

TEST_CASE(
    "what the server certainly has not read is said not to be sent, and no request goes out") {
  World world(always(403, ""));
  const auto why = [&](const Json& more) {
    const IssueOutcome outcome = world.submit(more);
    REQUIRE(std::holds_alternative<NotSent>(outcome));
    CHECK(world.posts() == 0);
    return std::get<NotSent>(outcome).why;
  };
  world.files.files["other.pem"] = world.files.root.pem;
  CHECK(why({{"tls", {{"ca", {"other.pem"}}}}}).find("certificate") != std::string::npos);
  // The certificate is for localhost.
  std::string by_address = world.server.url();
  by_address.replace(by_address.find("localhost"), 9, "127.0.0.1");
  CHECK(why({{"url", by_address}}).find("127.0.0.1") != std::string::npos);
  CHECK(why({{"url", "https://localhost:1"}}).find("was not asked") != std::string::npos);
  // A certificate that the server's CA did not sign.
  const testing::TlsIdentity foreign = testing::make_tls_identity("x", testing::TlsUse::client);
  world.files.files["x.pem"] = foreign.certificate_pem;
  world.files.files["x.key"] = foreign.key_pem;
  const Json tls = {{"ca", {"tls.pem"}}, {"certificate", "x.pem"}, {"key", "x.key"}};
  CHECK(why({{"tls", tls}}).find("localhost") != std::string::npos);
  // The CA is away, and /cacerts says so.
  world.cacerts = est_answer(503, "down", {{"Retry-After", "5"}});
  CHECK(why(Json::object()) == "the CA takes no requests now: HTTP 503: down");
}

TEST_CASE("a proxy of the environment is not asked") {
  ::setenv("https_proxy", "http://127.0.0.1:1", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  World world(always(403, ""));
  CHECK(std::holds_alternative<Refused>(world.submit()));
  ::unsetenv("https_proxy");
  ::unsetenv("ALL_PROXY");
  // One of the config is.
  const IssueOutcome outcome = world.submit({{"proxy", {{"url", "http://127.0.0.1:1"}}}});
  CHECK(std::holds_alternative<NotSent>(outcome));
}

TEST_CASE("an answer that is late or too long leaves open whether the CA has issued") {
  World late([](const http::Request&) { return std::nullopt; });
  const IssueOutcome outcome = late.submit({{"timeout", "400ms"}});
  REQUIRE(std::holds_alternative<InDoubt>(outcome));
  CHECK(std::get<InDoubt>(outcome).what_to_check.find("no whole answer within 400ms") !=
        std::string::npos);
  CHECK(late.posts() == 1);

  World flood(always(200, std::string((std::size_t{1} << 20U) + 1, 'A')));
  const IssueOutcome flooded = flood.submit();
  REQUIRE(std::holds_alternative<InDoubt>(flooded));
  CHECK(std::get<InDoubt>(flooded).what_to_check.find("more than 1048576") != std::string::npos);
}

TEST_CASE("a request that was lost is not repeated, one that is pending is, with the same octets") {
  World world(always(202, ""));
  Backend backend = world.backend();
  Intent intent = world.intent(backend);
  CHECK(std::holds_alternative<InDoubt>(
      backend.certificates->resume(intent, Deadline::in(seconds(20)))));
  CHECK(world.posts() == 0);
  const IssueOutcome first = backend.certificates->submit(intent, Deadline::in(seconds(20)));
  intent.poll = std::get<Pending>(first).poll;
  world.clock.advance(hours(24));
  const IssueOutcome second = backend.certificates->resume(intent, Deadline::in(seconds(20)));
  CHECK(std::get<Pending>(second).ask_again_after == hours(1));
  std::vector<std::string> bodies;
  for (const auto& request : world.server.requests()) {
    if (request.method == "POST") bodies.push_back(request.body);
  }
  REQUIRE(bodies.size() == 2);
  CHECK(bodies[0] == bodies[1]);
  // After a week it is in doubt.
  world.clock.advance(hours(24 * 7));
  CHECK(std::holds_alternative<InDoubt>(
      backend.certificates->resume(intent, Deadline::in(seconds(20)))));
}

TEST_CASE("clients read the CA's words where the config says so, cut and made harmless") {
  World world(always(403, "not\x1b[1m ours " + std::string(900, 'x')));
  const IssueOutcome outcome = world.submit({{"forward_ca_errors", true}});
  REQUIRE(std::holds_alternative<Refused>(outcome));
  const std::string& told = std::get<Refused>(outcome).problem.detail;
  CHECK(told.find("not\\x1b[1m ours") != std::string::npos);
  CHECK(told.size() < 600);
  CHECK(std::get<Refused>(outcome).answer.size() > 900);
}

TEST_CASE("orders with dates are refused, and a revocation is told to be the CA's") {
  World world(always(403, ""));
  Backend backend = world.backend();
  CHECK_FALSE(backend.certificates->takes_dates());
  REQUIRE(backend.revoker != nullptr);
  const RevokeOutcome outcome = backend.revoker->revoke(
      {.issuer = IssuerId("x"), .serial = "0102", .certificate_pem = "", .reason = 0},
      Deadline::in(seconds(1)));
  CHECK_FALSE(outcome.done);
  CHECK(outcome.why_not.find("revoke serial 0102 at the CA behind backend corp itself") !=
        std::string::npos);
}

TEST_CASE("a check shows the CA's certificates and what it asks for, and enrols nothing") {
  World world(always(403, ""));
  world.csrattrs = est_answer(
      200, base64_encode(der::sequence(
               {der::oid("2.5.4.3"), der::oid("1.2.840.113549.1.9.7"), der::oid("1.2.3.4"),
                der::sequence({der::oid("1.2.840.113549.1.9.14"),
                               der::set({der::sequence({der::sequence(
                                   {der::oid("2.5.29.17"), der::octet_string({})})})})})})));
  Backend backend = world.backend();
  const auto said = backend.probe->probe(Deadline::in(seconds(20)));
  REQUIRE(said);
  CHECK(said->find("Test Issuing CA, until ") != std::string::npos);
  CHECK(said->find("leads to no anchor") == std::string::npos);
  CHECK(said->find("a common name (2.5.4.3); a challengePassword (1.2.840.113549.1.9.7); 1.2.3.4; "
                   "extensions (1.2.840.113549.1.9.14): subject alternative names (2.5.29.17)") !=
        std::string::npos);
  CHECK(said->find("user \"gateway\"") != std::string::npos);
  CHECK(world.posts() == 0);

  testing::LocalCaFiles foreign(world.clock);
  world.cacerts =
      est_answer(200, base64_encode(testing::certs_only(
                          {foreign.root.certificate.der, foreign.issuer.certificate.der})));
  const auto other = backend.probe->probe(Deadline::in(seconds(20)));
  REQUIRE_FALSE(other);
  CHECK(other.error().find("leads to one of backends.corp.anchors") != std::string::npos);
  world.cacerts = est_answer(404, "nothing here");
  CHECK(backend.probe->probe(Deadline::in(seconds(20))).error().find("HTTP 404: nothing here") !=
        std::string::npos);
}

TEST_CASE("a CA certificate that /cacerts brings is never an anchor") {
  World world(always(500, ""));
  testing::LocalCaFiles foreign(world.clock);
  world.cacerts =
      est_answer(200, base64_encode(testing::certs_only(
                          {foreign.root.certificate.der, foreign.issuer.certificate.der})));
  const Bytes leaf = world.leaf();
  world.enrol = always(200, base64_encode(testing::certs_only({leaf})));
  const IssueOutcome outcome = world.submit();
  REQUIRE(std::holds_alternative<Issued>(outcome));
  CHECK(std::get<Issued>(outcome).chain_pem == crypto::to_pem(leaf));  // no chain: it is refused
}

}  // namespace gatehouse::backends
