// A backend leaves the config while certificates of it are still valid.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/app/server/config_checks.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

constexpr const char* kNext = R"({"type": "local", "certificate": "ca/next.pem",
                                  "key": "ca/next.key", "root": "ca/next-root.pem"})";

struct Fixture {
  Fixture() : client(registered(server)) {
    LocalCaFiles ca(server.clock);
    const CaFile root = ca.make("Next Root", nullptr);
    const CaFile issuer = ca.make("Next CA", &root);
    for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
             {"next-root.pem", root.pem}, {"next.pem", issuer.pem}, {"next.key", issuer.key_pem}}) {
      write_file(server.folder.path() + "/ca/" + name, text, FileAccess::owner_only,
                 ExistingFile::refuse);
    }
    before = parse_json(read_file(server.folder.config_file()));
    before["backends"]["local"] = {{"type", "local"},
                                   {"certificate", "ca/issuer.pem"},
                                   {"key", "ca/issuer.key"},
                                   {"root", "ca/root.pem"}};
    before["backends"]["next"] = parse_json(kNext);
  }

  void write(const Json& config) {
    write_file(server.folder.config_file(), print_json_pretty(config), FileAccess::owner_only,
               ExistingFile::replace);
  }

  void restart_with(const Json& config) {
    server.stop();
    write(config);
    server.start_again();
  }

  // Orders are for "next" from now on, and `local` is what stands for the other.
  Json config_with_local(const Json& local) const {
    Json config = before;
    config["profiles"]["default"]["backend"] = "next";
    if (local.is_null()) {
      config["backends"].erase("local");
    } else {
      config["backends"]["local"] = local;
    }
    return config;
  }

  Json retired() const {
    Json local = before.at("backends").at("local");
    local["retired"] = true;
    return local;
  }

  crypto::Certificate issue(const std::string& name) {
    const Reply chain = client.download(issued_order(server, client, {name}));
    return crypto::parse_pem_chain(chain.body).value().front();
  }

  http::Response command(const std::string& path, const Json& body) {
    http::Request request;
    request.listener = "control";
    request.method = "POST";
    request.target = path;
    request.headers = {{.name = "Content-Type", .value = "application/json"}};
    request.body = print_json(body);
    request.peer.uid = app::operator_uids().front();
    return server.send(std::move(request));
  }

  // What the CRL that `certificate` points to says is revoked.
  std::vector<std::string> published(const crypto::Certificate& certificate) {
    const std::string path =
        certificate.crl_urls.at(0).substr(std::string("http://pki.test").size());
    const http::Response crl = server.get("public", path);
    REQUIRE(crl.status == 200);
    std::vector<std::string> serials;
    const crypto::Crl read = crypto::parse_crl(as_bytes(*crl.body)).value();
    for (const auto& entry : read.entries) {
      serials.push_back(entry.serial);
    }
    return serials;
  }

  TestServer server;
  AcmeClient client;
  Json before;
};

TEST_CASE("a backend with certificates that are not over leaves the config as retired alone") {
  Fixture f;
  f.issue("a.test");
  const char* const refusal =
      "gatehouse.json: backends.local: is missing, and the database has certificates of it that "
      "are valid until 2026-";
  f.server.stop();
  f.write(f.config_with_local(nullptr));
  CHECK_THROWS_WITH(app::check_database(f.server.folder.config(), f.server.clock),
                    doctest::Contains(refusal));
  CHECK_THROWS_WITH(f.server.start_again(), doctest::Contains(refusal));
  f.server.stop();
  f.write(f.config_with_local(f.retired()));
  CHECK(app::check_database(f.server.folder.config(), f.server.clock).empty());
  f.server.start_again();
  CHECK(f.issue("b.test").issuer_name == "CN=Next CA");
  CHECK(f.server.get("operations", "/readyz").status == 200);

  // Nothing of it is valid any more: it may go.
  f.server.stop();
  f.server.clock.advance(std::chrono::hours(24 * 90));
  f.write(f.config_with_local(nullptr));
  CHECK(app::check_database(f.server.folder.config(), f.server.clock).empty());
}

TEST_CASE("certificates of a backend that left are revoked, and published when it is back") {
  Fixture f;
  const crypto::Certificate first = f.issue("a.test");
  const crypto::Certificate second = f.issue("b.test");
  const crypto::Certificate third = f.issue("c.test");
  f.restart_with(f.config_with_local(f.retired()));

  CHECK(f.client.revoke(first.der, 4).status == 200);  // RFC 8555 section 7.6
  const http::Response told =
      f.command("/certificate/revoke", {{"certificate", second.serial}, {"reason", 4}});
  CHECK(told.status == 500);
  for (const std::string& part :
       {second.serial + " is revoked in the database, but nobody learns of it",
        std::string("backend local, which issued it, is not in the config")}) {
    CHECK_MESSAGE(told.body->find(part) != std::string::npos, *told.body);
  }
  const http::Response shown = f.command("/certificate/show", {{"certificate", second.serial}});
  CHECK(parse_json(*shown.body)["status"] == "revoked");
  const http::Response audited = f.command("/audit/list", {{"kind", "certificate.revoked"}});
  const Json events = parse_json(*audited.body).at("events");
  REQUIRE(events.size() == 2);
  CHECK(events[0]["details"]["published"] == false);

  // The server was away for less than a CRL's interval.
  f.server.advance(std::chrono::hours(1));
  f.restart_with(f.config_with_local(f.before.at("backends").at("local")));
  std::vector<std::string> both = {first.serial, second.serial};
  std::ranges::sort(both);
  CHECK(f.published(first) == both);
  const http::Response done =
      f.command("/certificate/revoke", {{"certificate", third.serial}, {"reason", 4}});
  CHECK(done.status == 200);
  f.server.run_jobs();
  CHECK(f.published(first).size() == 3);
}

TEST_CASE("a public_url that certificates do not point to is refused, not met by the database") {
  Fixture f;
  f.issue("a.test");
  Json moved = f.before;
  moved["public_url"] = "http://elsewhere.test";
  f.server.stop();
  f.write(moved);
  const char* const refusal = "gatehouse.json: public_url: certificates that are valid until 2026-";
  CHECK_THROWS_WITH(app::check_database(f.server.folder.config(), f.server.clock),
                    doctest::Contains(refusal));
  CHECK_THROWS_WITH(f.server.start_again(), doctest::Contains(refusal));
}

TEST_CASE("a CRL that certificates name and nobody publishes is a warning, and says so") {
  Fixture f;
  Json wide = f.before;
  wide["backends"]["local"]["crl_shards"] = 16;
  f.restart_with(wide);
  crypto::Certificate held = f.issue("a.test");
  for (int i = 0; held.crl_urls.at(0).ends_with("/0.crl"); ++i) {
    held = f.issue("a" + std::to_string(i) + ".test");
  }
  f.restart_with(f.before);  // one shard
  const std::string warning = "does not publish the CRL " + held.crl_urls.at(0);
  const http::Response ready = f.server.get("operations", "/readyz");
  CHECK(ready.status == 200);
  CHECK_MESSAGE(ready.body->find(warning) != std::string::npos, *ready.body);
  const auto checked = app::check_database(f.server.folder.config(), f.server.clock);
  CHECK(std::ranges::any_of(
      checked, [&](const std::string& line) { return line.find(warning) != std::string::npos; }));
  const http::Response told =
      f.command("/certificate/revoke", {{"certificate", held.serial}, {"reason", 4}});
  CHECK(told.status == 500);
  CHECK_MESSAGE(told.body->find(warning) != std::string::npos, *told.body);
}

}  // namespace
}  // namespace gatehouse::testing
