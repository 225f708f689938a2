// Two directories of one server from account to revocation, each with a CA and rules of its own.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

constexpr const char* kDirectories = R"({
  "backends": {
    "local": {"type": "local", "certificate": "ca/issuer.pem", "key": "ca/issuer.key",
              "root": "ca/root.pem"},
    "devices": {"type": "local", "certificate": "ca/devices.pem", "key": "ca/devices.key",
                "root": "ca/devices-root.pem"}},
  "directories": {
    "default": {},
    "devices": {
      "terms_of_service": "https://acme.test/device-terms",
      "limits": {"pending_orders_per_account": 1},
      "profiles": {"device": {"backend": "devices", "validity": "30d",
                              "extended_key_usages": ["clientAuth"],
                              "challenge_types": ["dns-01"]}}}}})";

// What an operator does to a server that has one directory: a second CA's files, and the config.
void add_devices(TestServer& server) {
  const auto write = [&](const std::string& path, const std::string& text) {
    write_file(path, text, FileAccess::owner_only, ExistingFile::replace);
  };
  LocalCaFiles ca(server.clock);
  const CaFile root = ca.make("Device Root", nullptr);
  const CaFile issuer = ca.make("Device CA", &root);
  const std::string folder = server.folder.path() + "/ca/";
  write(folder + "devices-root.pem", root.pem);
  write(folder + "devices.pem", issuer.pem);
  write(folder + "devices.key", issuer.key_pem);
  Json config = parse_json(read_file(server.folder.config_file()));
  config.merge_patch(parse_json(kDirectories));
  write(server.folder.config_file(), print_json_pretty(config));
}

crypto::Certificate leaf_of(AcmeClient& client, const ClientOrder& order) {
  return crypto::parse_pem_chain(client.download(order).body).value().front();
}

TEST_CASE("a second directory stands beside the first, with its own CA, rules and accounts") {
  TestServer server;
  AcmeClient client = registered(server);
  const ClientOrder before = issued_order(server, client, {"a.test"});
  server.stop();
  add_devices(server);
  server.start_again();

  // Who was there goes on, by the rules of before.
  CHECK(leaf_of(client, before).issuer_name == "CN=Test Issuing CA");
  CHECK(leaf_of(client, issued_order(server, client, {"b.test"})).issuer_name ==
        "CN=Test Issuing CA");

  // The same key has no account in the new directory, and must agree to its terms for one.
  AcmeClient device([&](http::Request request) { return server.send(std::move(request)); },
                    kTestBaseUrl, client.key);
  device.use_directory("https://acme.test/acme/devices/directory");
  CHECK(device.new_account(Json::object()).problem() == "userActionRequired");
  CHECK(device.new_account().status == 201);
  CHECK(device.kid.starts_with("https://acme.test/acme/devices/account/"));
  CHECK(device.kid.substr(device.kid.rfind('/')) != client.kid.substr(client.kid.rfind('/')));

  const ClientOrder order = device.new_order({"d.test"});
  CHECK(
      device.post(device.url_of("newOrder"), {{"identifiers", AcmeClient::identifiers({"e.test"})}})
          .problem() == "rateLimited");
  const Json challenges =
      device.read(order.json.at("authorizations").at(0).get<std::string>()).json().at("challenges");
  REQUIRE(challenges.size() == 1);
  CHECK(challenges.at(0).at("type") == "dns-01");
  device.respond(order);
  server.run_jobs();
  CHECK(device.finalize(device.get(order)).status == 200);
  server.run_jobs();
  const ClientOrder issued = device.get(order);
  REQUIRE(issued.status() == "valid");
  const crypto::Certificate leaf = leaf_of(device, issued);
  CHECK(leaf.issuer_name == "CN=Device CA");
  CHECK(leaf.not_after - leaf.not_before < std::chrono::hours(24 * 31));

  // Neither sees, nor revokes, what is the other's; both live through a restart.
  CHECK(client.read(issued.url).problem() == "malformed");
  CHECK(device.read(before.url).problem() == "malformed");
  CHECK(client.revoke(leaf.der).problem() == "malformed");
  CHECK(device.revoke(leaf_of(client, before).der).problem() == "malformed");
  server.restart();
  CHECK(device.get(issued).status() == "valid");
  CHECK(client.get(before).status() == "valid");
  CHECK(device.revoke(leaf.der).status == 200);
  CHECK(client.revoke(leaf_of(client, before).der).status == 200);
}

}  // namespace
}  // namespace gatehouse::testing
