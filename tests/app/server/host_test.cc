// Host over real sockets: threads, listeners, TLS, reload and the order of stopping.
#include "acme-server/app/server/host.h"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/app/server/preflight.h"
#include "acme-server/http/socket.h"
#include "tests/support/listener_files.h"
#include "tests/support/program.h"
#include "tests/support/socket_acme.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

const Json kWithTls = parse_json(R"({"listeners": {
    "acme": [{"address": "127.0.0.1", "port": 8443, "tls": "own"}],
    "public": [{"address": "127.0.0.1", "port": 8080}],
    "operations": [{"address": "127.0.0.1", "port": 9402}]}})");

// On ports that the system chooses, with few threads.
config::Config on_free_ports(config::Config config) {
  for (auto* kind : {&config.acme, &config.public_files, &config.operations}) {
    for (config::ListenerConfig& listener : *kind) {
      listener.listener.address = http::TcpAddress{.address = "127.0.0.1", .port = 0};
    }
  }
  config.threads = {.http = 1, .requests = 4, .request_queue = 64, .validation = 2, .issuance = 2};
  config.limits.drain = std::chrono::seconds(5);
  return config;
}

http::ListenerAddress named(const std::vector<http::ListenerAddress>& all, std::string_view name) {
  for (const http::ListenerAddress& bound : all) {
    if (bound.listener == name) return bound;
  }
  throw std::runtime_error("no listener " + std::string(name));
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// Trusts `root` alone.
std::unique_ptr<SSL_CTX, FreeContext> trusting(const crypto::Certificate& root) {
  std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  const std::uint8_t* der = root.der.data();
  X509* certificate = d2i_X509(nullptr, &der, static_cast<long>(root.der.size()));
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), certificate);
  X509_free(certificate);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

// Everything that one Server of a Host is given instead of the world.
struct World {
  explicit World(std::uint64_t seed, Instant start = from_unix(::time(nullptr)))
      : clock(start), entropy(seed), folder(clock, kWithTls) {}

  app::Environment put_into(const app::Environment& base) {
    app::Decorators decorate;
    decorate.validator = [](std::unique_ptr<validators::Validator> real) {
      return std::unique_ptr<validators::Validator>(
          std::make_unique<ScriptedValidator>(std::string(real->challenge_type())));
    };
    return {.clock = clock,
            .job_clock = base.job_clock,
            .uptime = uptime,
            .entropy = entropy,
            .resolver = resolver,
            .dialer = base.dialer,
            .log = base.log,
            .metrics = base.metrics,
            .executors = base.executors,
            .decorate = decorate};
  }

  ManualClock clock;
  ManualUptime uptime{clock};
  SeededEntropy entropy;
  FakeResolver resolver;
  ServerFolder folder;
};

// A certificate from newAccount to download, with real waiting.
std::vector<crypto::Certificate> obtain(AcmeClient& client, const std::string& name) {
  REQUIRE(client.new_account().status == 201);
  ClientOrder order = client.new_order({name});
  client.respond(order);
  const Deadline patience = Deadline::in(std::chrono::seconds(kPatienceSeconds));
  const auto wait_for = [&](const std::string& status) {
    while (order.status() != status) {
      REQUIRE_FALSE(patience.expired());
      std::this_thread::yield();
      order = client.get(order);
    }
  };
  wait_for("ready");
  REQUIRE(client.finalize(order).status == 200);
  wait_for("valid");
  return crypto::parse_pem_chain(client.download(order).body).value();
}

TEST_CASE("a host serves a certificate over TLS that its own CA made") {
  World world(1);
  Log log;
  std::vector<config::Config> configs;
  configs.push_back(on_free_ports(world.folder.config()));
  app::Host host(std::move(configs), log,
                 {.adjust = [&](std::size_t, const auto& base) { return world.put_into(base); }});
  const auto lines = host.start();
  CHECK(lines.front().find("OpenSSL") != std::string::npos);
  const auto addresses = host.addresses();
  REQUIRE(addresses.size() == 4);

  const auto context = trusting(world.folder.root());
  AcmeClient client(SocketSender(named(addresses, "acme.0"), context.get(), "acme.test"),
                    kTestBaseUrl);
  const auto chain = obtain(client, "a.test");
  CHECK(chain.at(0).dns_names == std::vector<std::string>{"a.test"});

  Client operations = Client::to(named(addresses, "operations.0"));
  CHECK(operations.ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
  CHECK(operations.ask("GET /directory HTTP/1.1\r\nHost: x\r\n\r\n").status == 404);
  Client files = Client::to(named(addresses, "public.0"));
  CHECK(files.ask("GET /root.pem HTTP/1.1\r\nHost: pki.test\r\n\r\n").status == 200);
  CHECK(files.ask("GET /directory HTTP/1.1\r\nHost: acme.test\r\n\r\n").status == 404);

  const http::ListenerAddress control = named(addresses, "control");
  const std::string command = "POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  CHECK(Client::to(control).ask(command).body.find("\"ready\":true") != std::string::npos);
  CHECK(Client::to(control).ask("GET /directory HTTP/1.1\r\nHost: acme.test\r\n\r\n").status ==
        404);
  for (const char* other : {"operations.0", "public.0"}) {
    CHECK(Client::to(named(addresses, other)).ask(command).status == 404);
  }
  struct stat info{};
  REQUIRE(::stat(control.unix_path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);

  CHECK(host.stop());
  CHECK(host.stop());
  CHECK_FALSE(std::filesystem::exists(control.unix_path));
  CHECK_THROWS(Client::to(named(addresses, "acme.0")));
}

TEST_CASE("two servers behind one host see nothing of each other") {
  World first(1);
  World second(2, from_unix(::time(nullptr)) + std::chrono::hours(24 * 200));
  World* const worlds[] = {&first, &second};
  Log log;
  std::vector<config::Config> configs;
  for (const World* world : worlds) configs.push_back(on_free_ports(world->folder.config()));
  app::Host host(std::move(configs), log, {.adjust = [&](std::size_t number, const auto& base) {
                   return worlds[number]->put_into(base);
                 }});
  host.start();

  const auto first_trust = trusting(first.folder.root());
  const auto second_trust = trusting(second.folder.root());
  // The second server's certificate is valid by its own clock only.
  SSL_CTX_set_verify(second_trust.get(), SSL_VERIFY_NONE, nullptr);
  AcmeClient client(
      SocketSender(named(host.addresses(0), "acme.0"), first_trust.get(), "acme.test"),
      kTestBaseUrl);
  AcmeClient other(
      SocketSender(named(host.addresses(1), "acme.0"), second_trust.get(), "acme.test"),
      kTestBaseUrl);
  const auto first_chain = obtain(client, "a.test");
  const auto second_chain = obtain(other, "a.test");

  CHECK(crypto::is_signed_by(first_chain.at(0), first_chain.at(1)));
  CHECK_FALSE(crypto::is_signed_by(first_chain.at(0), second_chain.at(1)));
  CHECK(second_chain.at(0).not_before - first_chain.at(0).not_before >
        std::chrono::hours(24 * 199));
  // The account of one is nobody at the other.
  CHECK(other
            .call("POST", client.kid,
                  sign_with_kid(client.key, client.kid, client.kid, other.nonce(), ""))
            .problem() == "accountDoesNotExist");
  // A TLS client that trusts the one does not take the other's certificate.
  Client wrong = Client::to(named(host.addresses(1), "acme.0"));
  CHECK_FALSE(wrong.start_tls(first_trust.get(), "acme.test"));
  CHECK(host.stop());
}

struct Registered {
  std::string kid;
  TestKey key;
};

TEST_CASE("stopping lets requests in flight end, and loses nothing") {
  World world(1);
  Log log;
  std::vector<config::Config> configs;
  configs.push_back(on_free_ports(world.folder.config()));
  std::vector<Registered> accounts;
  {
    app::Host host(std::move(configs), log,
                   {.adjust = [&](std::size_t, const auto& base) { return world.put_into(base); }});
    host.start();
    const auto context = trusting(world.folder.root());
    std::vector<std::jthread> clients;
    Guarded<std::vector<Registered>> made;
    std::atomic<int> busy = 0;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&, address = named(host.addresses(), "acme.0")] {
        try {
          for (;;) {
            AcmeClient client(SocketSender(address, context.get(), "acme.test"), kTestBaseUrl);
            const Reply reply = client.new_account();
            if (reply.status != 201) break;
            made.with([&](auto& all) { all.push_back({.kid = client.kid, .key = client.key}); });
            ++busy;
          }
        } catch (const ConnectionLost&) {
        }
      });
    }
    while (busy < 8) std::this_thread::yield();
    CHECK(host.stop());
    clients.clear();
    accounts = made.with([](const auto& all) { return all; });
  }
  std::vector<config::Config> again;
  again.push_back(on_free_ports(world.folder.config()));
  app::Host host(std::move(again), log,
                 {.adjust = [&](std::size_t, const auto& base) { return world.put_into(base); }});
  host.start();
  const auto context = trusting(world.folder.root());
  for (const Registered& account : accounts) {
    AcmeClient client(SocketSender(named(host.addresses(), "acme.0"), context.get(), "acme.test"),
                      kTestBaseUrl, account.key);
    client.kid = account.kid;
    CHECK(client.read(account.kid).status == 200);
  }
}

TEST_CASE("what stands in the way is told before anything starts") {
  World world(1);
  Log log;
  const auto refusal = [&](const std::function<void(config::Config&)>& change) -> std::string {
    config::Config config = on_free_ports(world.folder.config());
    change(config);
    try {
      app::preflight(config, world.clock);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "nothing";
  };
  CHECK(refusal([](config::Config&) {}) == "nothing");
  CHECK(refusal([](config::Config& c) {
          c.store.database = "/nonexistent/gatehouse.db";
        }).find("/nonexistent") != std::string::npos);
  CHECK(refusal([](config::Config& c) {
          c.data_directory = "/nonexistent/data";
        }).find("data_directory") != std::string::npos);

  // A port in use.
  const http::ListeningSocket taken =
      http::open_listener({.name = "x",
                           .address = http::TcpAddress{.address = "127.0.0.1", .port = 0},
                           .tls = {},
                           .origins = {}});
  const std::string busy = refusal([&](config::Config& c) {
    c.acme[0].listener.address =
        http::TcpAddress{.address = "127.0.0.1", .port = taken.address().port};
  });
  CHECK(busy.find(std::to_string(taken.address().port)) != std::string::npos);

  // A clock that cannot be.
  world.clock.set(from_unix(86400));
  CHECK(refusal([](config::Config&) {}).find("1970-01-02") != std::string::npos);
}

TEST_CASE("reload takes new certificates from files, and keeps the old ones when they are bad") {
  World world(1);
  ListenerFiles files(world.folder.path(), world.clock);
  const Instant ends = world.clock.now() + std::chrono::hours(24);
  const CaFile before = files.make("acme.test", ends);
  const CaFile after = files.make("acme.test", ends);
  files.write(before.pem, before.key_pem);
  config::Config config = on_free_ports(world.folder.config());
  config.acme[0].certificate = config::CertificateSource::files;
  config.acme[0].certificate_file = files.certificate;
  config.acme[0].key_file = files.key;
  Log log;
  std::vector<config::Config> configs;
  configs.push_back(std::move(config));
  app::Host host(std::move(configs), log,
                 {.adjust = [&](std::size_t, const auto& base) { return world.put_into(base); }});
  host.start();
  const auto context = trusting(files.ca.root.certificate);
  const auto served = [&]() -> Bytes {
    Client client = Client::to(named(host.addresses(), "acme.0"));
    REQUIRE(client.start_tls(context.get(), "acme.test"));
    std::uint8_t* der = nullptr;
    X509* peer = SSL_get1_peer_certificate(client.ssl());
    const int size = i2d_X509(peer, &der);
    Bytes copy(der, der + size);
    OPENSSL_free(der);
    X509_free(peer);
    return copy;
  };
  CHECK(served() == before.certificate.der);
  files.write(after.pem, before.key_pem);  // does not fit
  CHECK_FALSE(host.reload());
  CHECK(served() == before.certificate.der);
  files.write(files.made_of(files.ca.root.pem + after.pem, kPkcs7), after.key_pem);
  host.reload();
  CHECK(served() == after.certificate.der);
}

// A config file that a test changes and a host reloads, on sockets in its folder.
struct ConfigFile {
  explicit ConfigFile(const World& world) : path(world.folder.config_file()) {}

  // Writes the file with `more` merged over the least; its hash.
  std::string write(const Json& more = Json::object()) const {
    Json document = parse_json(R"({
      "base_url": "https://acme.test", "public_url": "http://pki.test",
      "threads": {"http": 1, "requests": 4, "request_queue": 64, "validation": 2, "issuance": 2},
      "listeners": {"acme": [{"unix": "acme.sock", "tls": "off"}],
                    "public": [{"unix": "public.sock"}], "operations": [{"unix": "ops.sock"}]}})");
    document.merge_patch(more);
    const std::string text = print_json(document);
    write_file(path, text, FileAccess::owner_only, ExistingFile::replace);
    return crypto::sha256_hex(as_bytes(text));
  }

  std::vector<config::Config> load() const {
    std::vector<config::Config> configs;
    configs.push_back(config::load_config(path, {}));
    return configs;
  }

  std::string path;
};

TEST_CASE("start, reload and stop are audited, with what has changed and the config's hash") {
  World world(1);
  const ConfigFile file(world);
  Log log;
  const std::string first = file.write();
  std::string second;
  {
    app::Host host(file.load(), log,
                   {.adjust = [&](std::size_t, const auto& base) { return world.put_into(base); }});
    host.start();
    file.write({{"threads", {{"http", 7}}}});
    CHECK_FALSE(host.reload(OperatorByUid{7}));  // no event: nothing has changed
    second = file.write({{"website", "https://acme.test/new"}, {"allowed_hosts", {"x.test"}}});
    CHECK(host.reload(OperatorByUid{42}));
    CHECK(host.stop(OperatorByUid{43}));
  }
  std::vector<store::AuditRow> rows;
  {
    Metrics metrics;
    InlineExecutor inline_executor;
    const auto database = sql::open(file.load().front().store);
    store::Store store(*database, inline_executor, world.clock, world.clock, log, metrics);
    for (const auto& row : store.read([](store::Tx& tx) { return tx.audit().list(0, 1000); })) {
      if (row.event.kind.starts_with("server.")) rows.push_back(row);
    }
  }
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].event.kind == "server.started");
  CHECK(rows[0].event.details["config_sha256"] == first);
  CHECK(rows[1].event.kind == "server.reloaded");
  CHECK(rows[1].event.actor == Principal(OperatorByUid{42}));
  CHECK(rows[1].event.details["config_sha256"] == second);
  CHECK(rows[1].event.details["changed"] == Json::array({"website", "allowed_hosts"}));
  CHECK(rows[2].event.kind == "server.stopped");
  CHECK(rows[2].event.actor == Principal(OperatorByUid{43}));
  CHECK(rows[2].event.details["drained"] == true);
}

TEST_CASE("a reload takes the limits and the log's level") {
  World world(1);
  const ConfigFile file(world);
  Guarded<std::vector<std::string>> lines;
  Log log({.sink = [&](LogLevel, std::string_view line) {
    lines.with([&](auto& all) { all.emplace_back(line); });
  }});
  file.write({{"limits", {{"body_bytes", 4096}}}});
  app::Host host(file.load(), log,
                 {.adjust = [&](std::size_t, const auto& base) { return world.put_into(base); }});
  host.start();
  const auto status = [&] {
    Client client = Client::to(named(host.addresses(), "operations.0"));
    return client
        .ask("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" +
             std::string(5000, 'x'))
        .status;
  };
  CHECK(status() == 413);
  file.write({{"limits", {{"body_bytes", 65536}}}, {"log", {{"level", "error"}}}});
  CHECK(host.reload());
  const std::size_t before = lines.with([](const auto& all) { return all.size(); });
  CHECK(status() == 405);
  CHECK(lines.with([](const auto& all) { return all.size(); }) == before);  // no "request.refused"
  file.write({{"limits", {{"body_bytes", 65536}}}});
  CHECK(host.reload());
  CHECK(status() == 405);
  CHECK(lines.with([](const auto& all) { return all.size(); }) > before);
}

}  // namespace
}  // namespace gatehouse::testing
