// The Server as Host sees it: preparing, its own certificate, reload, what it refuses to start
// with.
#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/server/secret_source.h"
#include "ca-backends/backend.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

const Json kOwnCertificate = parse_json(
    R"({"listeners": {"acme": [{"address": "127.0.0.1", "port": 8443, "tls": "own"}]}})");

crypto::Certificate leaf_of(const service::TlsIdentity& identity) {
  return crypto::parse_pem_chain(identity.chain_pem).value().at(0);
}

// A CA that has not been reached since the start: who signs is not known.
class Unreached final : public backends::CertificateBackend {
 public:
  explicit Unreached(std::unique_ptr<backends::CertificateBackend> inner)
      : inner_(std::move(inner)) {}

  backends::Intent prepare(const backends::IssueRequest& request) override {
    return inner_->prepare(request);
  }

  bool repeatable() const override { return inner_->repeatable(); }

  backends::IssueOutcome submit(const backends::Intent& intent, Deadline deadline) override {
    return inner_->submit(intent, deadline);
  }

  backends::IssueOutcome resume(const backends::Intent& intent, Deadline deadline) override {
    return inner_->resume(intent, deadline);
  }

  backends::IssuersSnapshot issuers() const override {
    return std::make_shared<const backends::Issuers>();
  }

 private:
  std::unique_ptr<backends::CertificateBackend> inner_;
};

TEST_CASE("a server whose CA has not been reached yet says so, and still knows its issuers") {
  TestServer server;
  AcmeClient client = registered(server);
  const Reply chain = client.download(issued_order(server, client, {"a.test"}));
  REQUIRE(server.get("operations", "/readyz").status == 200);
  server.environment().decorate.backend = [](const std::string&, auto real) {
    return std::unique_ptr<backends::CertificateBackend>(
        std::make_unique<Unreached>(std::move(real)));
  };
  server.restart();
  const http::Response ready = server.get("operations", "/readyz");
  CHECK(ready.status == 503);
  CHECK(ready.body->find("backend local has not reached its CA yet") != std::string::npos);
  const auto certificates = crypto::parse_pem_chain(chain.body).value();
  const std::string issuer = crypto::spki_sha256_of(certificates.at(1).spki);
  CHECK(server.get("public", "/issuer/" + issuer + ".cer").status == 200);
  CHECK(client.revoke(certificates.at(0).der, 4).status == 200);
  server.advance(std::chrono::hours(1));
  server.run_jobs();  // CRLs and warnings: nobody counts on an issuer
}

TEST_CASE("the listener's own certificate is there when prepare() returns") {
  TestServer server({.config = kOwnCertificate});
  const auto identity = server->own_identity();
  REQUIRE(identity);
  const crypto::Certificate leaf = leaf_of(*identity);
  CHECK(leaf.dns_names == std::vector<std::string>{"acme.test"});
  CHECK(leaf.ip_addresses.empty());
  const auto key = crypto::load_signer(identity->key_pem, Secret());
  CHECK(key->public_key() == leaf.spki);
  const auto chain = crypto::parse_pem_chain(identity->chain_pem).value();
  CHECK(crypto::why_chain_fails(chain, server.folder.root(), server.clock.now()) == std::nullopt);
}

TEST_CASE("the own certificate lives through a restart") {
  TestServer server({.config = kOwnCertificate});
  const auto before = server->own_identity();
  server.restart();
  CHECK(leaf_of(server->own_identity().value()) == leaf_of(before.value()));
}

TEST_CASE("the own certificate is renewed before it ends, and handed over") {
  TestServer server({.config = kOwnCertificate});
  const crypto::Certificate first = leaf_of(server->own_identity().value());
  std::vector<crypto::Certificate> handed_over;
  server->on_own_identity(
      [&](const service::TlsIdentity& identity) { handed_over.push_back(leaf_of(identity)); });
  for (int day = 0; day < 89 && handed_over.empty(); ++day) {
    server.advance(std::chrono::hours(24));
    for (int i = 0; i < 3; ++i) {  // order, issue, look again a second later
      server.run_jobs();
      server.advance(std::chrono::seconds(1));
    }
  }
  REQUIRE(handed_over.size() == 1);
  CHECK(handed_over[0].serial != first.serial);
  CHECK(handed_over[0].spki != first.spki);
  CHECK(server.clock.now() < first.not_after);
  CHECK(server.clock.now() > first.not_before + (first.not_after - first.not_before) / 2);
}

TEST_CASE("without own TLS there is no own certificate") {
  TestServer server;
  CHECK_FALSE(server->own_identity());
}

TEST_CASE("reload swaps the policy for new orders") {
  TestServer server;
  AcmeClient client = registered(server);
  CHECK(client.new_order({"a.test"}).status() == "pending");
  config::Config config = server.folder.config();
  default_directory(config).profiles.at("default").identifiers.allowed_dns = {"corp.test"};
  config.web.allowed_hosts = {"second.test"};
  server->reload(config);
  const Reply reply = client.post(client.url_of("newOrder"),
                                  {{"identifiers", AcmeClient::identifiers({"a.test"})}});
  CHECK(reply.problem() == "rejectedIdentifier");
  CHECK(client.call("GET", "/directory", "", {{"Host", "second.test"}}).status == 200);
}

TEST_CASE("reload refuses what needs a restart, by name, and changes nothing") {
  struct Row {
    std::string name;
    std::function<void(config::Config&)> change;
  };

  const Row rows[] = {
      {"base_url", [](config::Config& c) { c.web.base_url = "https://other.test"; }},
      {"default_directory", [](config::Config& c) { c.web.default_directory = "other"; }},
      {"public_url", [](config::Config& c) { c.public_url = "http://other.test"; }},
      {"store.path", [](config::Config& c) { c.store.database += "x"; }},
      {"listeners.acme", [](config::Config& c) { c.acme.pop_back(); }},
      {"backends", [](config::Config& c) { c.backends["second"] = c.backends["local"]; }},
      {"validators", [](config::Config& c) { c.validators["http01"]["port"] = 5002; }},
      {"threads", [](config::Config& c) { ++c.threads.validation; }},
      {"log.format", [](config::Config& c) { c.log.format = Log::Format::console; }},
  };
  TestServer server;
  AcmeClient client = registered(server);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    config::Config config = server.folder.config();
    default_directory(config).profiles.at("default").identifiers.allowed_dns = {"corp.test"};
    row.change(config);
    const std::string start = row.name + " has changed";
    CHECK_THROWS_WITH_AS(server->reload(config), doctest::Contains(start.c_str()),
                         std::runtime_error);
  }
  CHECK(client.new_order({"a.test"}).status() == "pending");
}

// A server with the directories "default" and "devices", and what a client of "devices" needs.
const char* const kTwoDirectories = R"({"directories": {"default": {}, "devices": {}}})";

AcmeClient device_of(TestServer& server) {
  AcmeClient client = client_of(server);
  client.use_directory("https://acme.test/acme/devices/directory");
  return client;
}

TEST_CASE("reload changes directories and adds them") {
  TestServer server({.config = parse_json(kTwoDirectories)});
  AcmeClient device = device_of(server);
  CHECK(device.new_account().status == 201);
  config::Config config = server.folder.config();
  service::Directory& devices = config.policy.directories.at(DirectoryId("devices"));
  devices.profiles.at("default").identifiers.allowed_dns = {"devices.test"};
  devices.website = "https://acme.test/devices";
  service::Directory third = devices;
  third.name = DirectoryId("third");
  config.policy.directories.emplace(third.name, third);
  CHECK(device.get("/acme/third/directory").status == 404);
  server->reload(config);
  const Reply reply = device.post(device.url_of("newOrder"),
                                  {{"identifiers", AcmeClient::identifiers({"a.test"})}});
  CHECK(reply.problem() == "rejectedIdentifier");
  CHECK(registered(server).new_order({"a.test"}).status() == "pending");
  CHECK(device.get("/acme/devices/directory").json().at("meta").at("website") ==
        "https://acme.test/devices");
  AcmeClient newcomer = client_of(server);
  newcomer.use_directory("https://acme.test/acme/third/directory");
  CHECK(newcomer.new_account().status == 201);
}

TEST_CASE("a directory with valid accounts cannot be dropped, and no reload drops any") {
  TestServer server({.config = parse_json(kTwoDirectories)});
  const auto without_devices = [&] {
    config::Config config = server.folder.config();
    config.policy.directories.erase(DirectoryId("devices"));
    return config;
  };
  CHECK_THROWS_WITH(server->reload(without_devices()),
                    doctest::Contains("directories.devices: is missing, and a directory is taken "
                                      "out by a restart alone; nothing was reloaded"));
  AcmeClient device = device_of(server);
  REQUIRE(device.new_account().status == 201);
  const char* const refusal =
      "gatehouse.json: directories.devices: is missing, and the database has 1 valid account in "
      "it; put it back";
  CHECK_THROWS_WITH(server->reload(without_devices()), doctest::Contains(refusal));
  CHECK(device.read(device.kid).status == 200);

  const auto start_without = [&] {
    server.stop();
    return app::Server(without_devices(), server.environment());
  };
  CHECK_THROWS_WITH(start_without(), doctest::Contains(refusal));
  server.start_again();
  CHECK(device.post(device.kid, {{"status", "deactivated"}}).status == 200);
  CHECK_NOTHROW(start_without());
}

TEST_CASE("the server's own certificate has the default directory's default profile") {
  TestServer server({.config = parse_json(R"({
      "listeners": {"acme": [{"address": "127.0.0.1", "port": 8443, "tls": "own"}]},
      "directories": {"devices": {"profiles": {"device": {"validity": "30d"}}},
                      "main": {"profiles": {"tls": {"validity": "60d"}}}},
      "default_directory": "main"})")});
  const auto identity = server->own_identity();
  REQUIRE(identity);
  const crypto::Certificate leaf = leaf_of(*identity);
  const auto lasts = leaf.not_after - leaf.not_before;
  CHECK(lasts > std::chrono::hours(24 * 59));
  CHECK(lasts < std::chrono::hours(24 * 61));
  CHECK(client_of(server).url_of("newOrder") == "https://acme.test/acme/main/new-order");
}

TEST_CASE("a reload to names that the server's own certificate cannot have is refused") {
  TestServer server({.config = parse_json(R"({
      "listeners": {"acme": [{"address": "127.0.0.1", "port": 8443, "tls": "own"}]}})")});
  config::Config config = server.folder.config();
  config.web.allowed_hosts = {"acme_1.test"};
  CHECK_THROWS_WITH(server->reload(config),
                    doctest::Contains("gatehouse.json: allowed_hosts: the server's own certificate "
                                      "cannot name it"));
}

TEST_CASE("a profile that could never issue is refused at start and at reload") {
  struct Row {
    std::string config, message;
  };

  const Row rows[] = {
      {R"({"profiles": {"default": {"challenge_types": ["http-01", "carrier-pigeon-01"]}}})",
       "profiles.default.challenge_types: there is no validator for \"carrier-pigeon-01\""},
      {R"({"validators": {"http01": {"port": 70000}}})",
       "validators.http01.port: 70000 is not a port (1..65535)"},
      {R"({"backends": {"local": {"type": "abacus"}}})", "backends.local.type"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.config);
    CHECK_THROWS_WITH(TestServer({.config = parse_json(row.config)}),
                      doctest::Contains(row.message.c_str()));
  }
  TestServer server;
  config::Config config = server.folder.config();
  default_directory(config).profiles.at("default").challenge_types = {"carrier-pigeon-01"};
  CHECK_THROWS_WITH(server->reload(config), doctest::Contains("carrier-pigeon-01"));
}

TEST_CASE("a clock that was set stops issuance, at a start or while we run, and nothing else") {
  for (const bool at_start : {true, false}) {
    CAPTURE(at_start);
    TestServer server;
    AcmeClient client = registered(server);
    const ClientOrder valid = issued_order(server, client, {"a.test"});
    ClientOrder begun = ready_order(server, client, {"b.test"});
    server.lane.set_places(0);  // so that its intent is not marked yet
    CHECK(client.finalize(begun, TestKey::generate(TestKey::Kind::p256)).status == 200);
    server.lane.set_places(SteppedExecutor::kPlaces);
    server.set_clock_by(-std::chrono::hours(1));
    if (at_start) server.restart();
    server.run_jobs();
    CHECK(client.get(begun).status() == "processing");
    const Reply refused = client.post(client.url_of("newOrder"),
                                      {{"identifiers", AcmeClient::identifiers({"c.test"})}});
    CHECK(refused.status == 503);
    CHECK(refused.problem() == "serverInternal");
    CHECK(refused.header("Retry-After") == "30");
    // All else goes on.
    CHECK(client.get(std::string(kTestBaseUrl) + "/directory").status == 200);
    const Reply chain = client.download(valid);
    CHECK(chain.status == 200);
    CHECK(client.revoke(crypto::parse_pem_chain(chain.body).value().at(0).der, 4).status == 200);
    server.run_jobs();
    CHECK(parse_json(*server.get("operations", "/readyz").body)["issuance"]["stopped"] == true);
    CHECK(server.get("operations", "/metrics")
              .body->find("gatehouse_issuance_stopped{reason=\"clock\"} 1") != std::string::npos);

    server->stops().resume(service::IssuanceStops::AcceptClock::yes, OperatorByUid{0});
    server.run_jobs();
    CHECK(client.get(begun).status() == "valid");
    CHECK(parse_json(*server.get("operations", "/readyz").body)["issuance"]["stopped"] == false);
  }
}

TEST_CASE("a server started with its clock far ahead serves the CRL and the certificate it has") {
  TestServer server({.config = kOwnCertificate});
  AcmeClient client = registered(server);
  const Reply chain = client.download(issued_order(server, client, {"a.test"}));
  const std::string url = crypto::parse_pem_chain(chain.body)
                              .value()
                              .at(0)
                              .crl_urls.at(0)
                              .substr(std::string("http://pki.test").size());
  const std::string crl = *server.get("public", url).body;
  const auto identity = server->own_identity();
  for (const int days : {3, 100}) {
    CAPTURE(days);
    server.set_clock_by(std::chrono::hours(24 * days));
    server.restart();
    server.run_jobs();
    CHECK(*server.get("public", url).body == crl);
    CHECK(leaf_of(server->own_identity().value()) == leaf_of(identity.value()));
    CHECK(server.get("operations", "/readyz").status == (days < 7 ? 200 : 503));
    server.set_clock_by(-std::chrono::hours(24 * days));
  }
}

TEST_CASE("the operator's stop outlives the process; orders wait in processing") {
  TestServer server;
  AcmeClient client = registered(server);
  server->stops().stop("the key may be known", OperatorByUid{0});
  ClientOrder order = ready_order(server, client, {"a.test"});
  const Reply finalized = client.finalize(order, TestKey::generate(TestKey::Kind::p256));
  CHECK(finalized.status == 200);
  CHECK(finalized.header("Retry-After") == "30");
  server.run_jobs();
  server.restart();
  CHECK(client.get(order).status() == "processing");
  CHECK(parse_json(*server.get("operations", "/healthz").body)["issuance"]["why"] ==
        Json::array({"the key may be known"}));
  server->stops().resume(service::IssuanceStops::AcceptClock::no, OperatorByUid{0});
  server.run_jobs();
  CHECK(client.get(order).status() == "valid");
}

TEST_CASE("a request that finds no thread is told to come back") {
  // Stands for a pool whose queue is full.
  class Full final : public Executor {
   public:
    bool try_post(Task) override { return false; }

    std::size_t idle() const override { return 0; }
  };

  TestServer server;
  Full full;
  InlineExecutor executor;
  Log log;
  Metrics metrics;
  const ServerFolder folder(server.clock);
  app::Environment environment{.clock = server.clock,
                               .job_clock = server.job_clock,
                               .uptime = server.uptime,
                               .entropy = server.entropy,
                               .resolver = server.resolver,
                               .dialer = server.dialer,
                               .log = log,
                               .metrics = metrics,
                               .executors = {.requests = full,
                                             .validation = executor,
                                             .issuance = executor,
                                             .maintenance = executor,
                                             .control = executor,
                                             .housekeeping = executor}};
  app::Server busy(folder.config(), environment);
  AcmeClient client(
      [&](http::Request request) {
        http::Response answer;
        busy.handler()(std::move(request),
                       [&](http::Response given) { answer = std::move(given); });
        return answer;
      },
      kTestBaseUrl);
  const Reply reply = client.get(std::string(kTestBaseUrl) + "/directory");
  CHECK(reply.status == 503);
  CHECK_FALSE(reply.header("Retry-After").empty());
}

TEST_CASE("two servers of one process share nothing") {
  TestServer first({.seed = 1});
  TestServer second({.seed = 2, .start = kNoon + std::chrono::hours(24 * 365)});
  AcmeClient client = registered(first);
  AcmeClient stranger([&](http::Request request) { return second.send(std::move(request)); },
                      kTestBaseUrl, client.key);
  CHECK(stranger.new_account({{"onlyReturnExisting", true}}).problem() == "accountDoesNotExist");
  const std::string nonce = client.nonce();
  const Reply reply = stranger.call("POST", client.kid,
                                    sign_with_kid(client.key, client.kid, client.kid, nonce, ""));
  CHECK(reply.problem() == "accountDoesNotExist");
}

TEST_CASE("secrets come from files and the environment, never from the reference itself") {
  const TemporaryFolder folder;
  write_file(folder.path() + "/good", "open sesame\n", FileAccess::owner_only,
             ExistingFile::refuse);
  write_file(folder.path() + "/empty", "\n", FileAccess::owner_only, ExistingFile::refuse);
  write_file(folder.path() + "/shown", "secret", FileAccess::everyone_reads, ExistingFile::refuse);
  CHECK(app::read_secret("file:good", folder.path()).reveal() == "open sesame");
  CHECK(app::read_secret("file:" + folder.path() + "/good", "/").reveal() == "open sesame");
  CHECK_THROWS_WITH(app::read_secret("file:shown", folder.path()), doctest::Contains("shown"));
  CHECK_THROWS_WITH(app::read_secret("file:empty", folder.path()), doctest::Contains("is empty"));
  CHECK_THROWS_WITH(app::read_secret("file:missing", folder.path()), doctest::Contains("missing"));
  CHECK_THROWS_WITH(app::read_secret("env:GATEHOUSE_NO_SUCH", "/"),
                    doctest::Contains("GATEHOUSE_NO_SUCH"));
  std::string error;
  try {
    app::read_secret("hunter2", "/");
  } catch (const std::runtime_error& refused) {
    error = refused.what();
  }
  CHECK_FALSE(error.empty());
  CHECK(error.find("hunter2") == std::string::npos);
}

}  // namespace
}  // namespace gatehouse::testing
