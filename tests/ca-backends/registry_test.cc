#include "ca-backends/registry.h"

#include <doctest/doctest.h>

#include <string>

#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/local_ca/signers.h"
#include "tests/support/local_ca_files.h"

namespace gatehouse::backends {
namespace {

std::string why_refused(const std::string& text) {
  const Json json = parse_json(text);
  try {
    check_backend_options(JsonObject(json, "backends.local"));
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

std::string local(const std::string& more) {
  return R"({"type": "local", "certificate": "a.pem", "key": "a.key", "root": "r.pem")" + more +
         "}";
}

}  // namespace

TEST_CASE("wrong backend options are refused with the option's path, nothing opened") {
  struct Row {
    std::string options, says;
  };

  const Row rows[] = {
      {"{}", "backends.local.type"},
      {R"({"type": "vault"})",
       "backends.local.type: \"vault\" is no type of backend; there is: local"},
      {R"({"type": "local"})", "backends.local.certificate"},
      {R"({"type": "local", "certificate": "", "key": "k", "root": "r"})",
       "backends.local.certificate: is empty"},
      {local(R"(, "cerificate": "x")"), "cerificate"},
      {local(R"(, "crl_shards": 0)"), "backends.local.crl_shards"},
      {local(R"(, "crl_shards": 257)"), "backends.local.crl_shards"},
      {local(R"(, "passphrase": "hunter2")"), "backends.local.passphrase"},
      {local(R"(, "previous": [{"certificate": "b.pem"}])"), "backends.local.previous[0].key"},
      {local(R"(, "previous": [{"certificate": "b", "key": "k", "root": "r"}])"),
       "backends.local.previous[0].root"},
      {local(R"(, "alternates": "b.pem")"), "backends.local.alternates"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.options);
    const std::string why = why_refused(row.options);
    CHECK_MESSAGE(why.find(row.says) != std::string::npos, why);
  }
}

TEST_CASE("a passphrase written into the config is not repeated in the message") {
  CHECK(why_refused(local(R"(, "passphrase": "hunter2")")).find("hunter2") == std::string::npos);
}

TEST_CASE("the local CA's options are read with their defaults") {
  const Json json = parse_json(local(
      R"(, "passphrase": "file:pass", "root_crl": "r.crl", "previous": [{"certificate": "b.pem", "key": "b.key"}])"));
  const LocalCaOptions options = read_local_ca_options(JsonObject(json));
  CHECK(options.issuer.certificate == "a.pem");
  CHECK(options.issuer.passphrase == "file:pass");
  CHECK(options.root_crl == "r.crl");
  CHECK(options.crl_shards == 1);
  REQUIRE(options.previous.size() == 1);
  CHECK(options.previous.front().key == "b.key");
  CHECK(options.alternates.empty());
}

TEST_CASE("a signer is started for a local CA that asks for it, and for no other type of backend") {
  const auto spawns = [](const std::string& options) {
    const Json json = parse_json(options);
    return spawns_local_signer(JsonObject(json, "backends.x"));
  };
  CHECK(spawns(local(R"(, "signer": {"spawn": true})")));
  CHECK_FALSE(spawns(local(R"(, "signer": {"socket": "s.sock"})")));
  CHECK_FALSE(spawns(local("")));
  CHECK_FALSE(spawns(R"({"type": "elsewhere", "signer": {"spawn": true}})"));
  CHECK_FALSE(spawns("{}"));
  CHECK_THROWS_AS(spawns(local(R"(, "signer": {})")), JsonError);
}

TEST_CASE(
    "a signer's socket is where its options say, or in the data directory when it is started") {
  testing::ManualClock clock;
  testing::LocalCaFiles files(clock);
  BackendContext context = files.context();
  context.config_folder = "/etc/gatehouse";
  context.data_directory = "/var/lib/gatehouse/";
  CHECK(signer_socket("a", {.socket = "s.sock", .spawn = false}, context) ==
        "/etc/gatehouse/s.sock");
  CHECK(signer_socket("a", {.socket = "/run/s.sock", .spawn = false}, context) == "/run/s.sock");
  CHECK(signer_socket("a", {.socket = "../s.sock", .spawn = false}, context) == "/etc/s.sock");
  CHECK(signer_socket("a", {.socket = "", .spawn = true}, context) ==
        "/var/lib/gatehouse/signer-a.sock");
}

}  // namespace gatehouse::backends
