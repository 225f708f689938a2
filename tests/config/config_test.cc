#include "config/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "config/compare.h"
#include "config/fields.h"
#include "tests/support/paths.h"
#include "tests/support/prefixes.h"

namespace gatehouse::config {
namespace {

std::string read(const std::string& name) {
  std::ifstream file(testing::source_directory() + "/config/" + name);
  REQUIRE(file);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Config parse(std::string_view text, const std::vector<std::string>& settings = {}) {
  return parse_config(text, "/etc/gatehouse/gatehouse.json", settings);
}

std::string error_of(std::string_view text, const std::vector<std::string>& settings = {}) {
  try {
    parse(text, settings);
  } catch (const JsonError& error) {
    return error.what();
  }
  return "no error";
}

// The rules of a directory of `config`.
service::Directory rules_of(const Config& config, const std::string& directory = "default") {
  const service::Directory* found = config.policy.find(DirectoryId(directory));
  REQUIRE(found != nullptr);
  return *found;
}

// `fields` in an object that is otherwise good.
std::string with(const std::string& fields) {
  return R"({"base_url": "https://acme.test")" + (fields.empty() ? "" : ", " + fields) + "}";
}

TEST_CASE("base_url alone is a whole configuration") {
  const Config config = parse(with(""));
  CHECK(config.web.base_url == "https://acme.test");
  CHECK(config.public_url == "http://acme.test");
  CHECK(config.store.database == "/etc/gatehouse/gatehouse.db");
  CHECK(config.control_socket == "/etc/gatehouse/data/control.sock");
  CHECK(parse(with(R"("data_directory": "/var/lib/gatehouse")")).control_socket ==
        "/var/lib/gatehouse/control.sock");
  CHECK(parse(with(R"("control": {"socket": "/run/gatehouse.sock"})")).control_socket ==
        "/run/gatehouse.sock");
  REQUIRE(config.acme.size() == 1);
  CHECK(config.acme[0].certificate == CertificateSource::own);
  CHECK(std::get<http::TcpAddress>(config.acme[0].listener.address).port == 443);
  CHECK(std::get<http::TcpAddress>(config.operations.at(0).listener.address).address ==
        "127.0.0.1");
  CHECK(config.backends.at("local").at("key") == "ca/issuer.key");
}

TEST_CASE("the example gives every option with its default") {
  const Config example = parse(read("gatehouse.example.json"));
  const Config defaults = parse(R"({"base_url": "https://acme.corp.example"})");
  CHECK(example.policy.directories == defaults.policy.directories);
  CHECK(example.policy.server == defaults.policy.server);
  CHECK(example.web.default_directory == defaults.web.default_directory);
  CHECK(example.public_url == defaults.public_url);
  CHECK(example.store_readers == defaults.store_readers);
  CHECK(example.limits.body_bytes == defaults.limits.body_bytes);
  CHECK(example.limits.idle == defaults.limits.idle);
  CHECK(example.limits.connections_per_address == defaults.limits.connections_per_address);
  CHECK(example.threads.validation == defaults.threads.validation);
  CHECK(example.resolver.timeout == defaults.resolver.timeout);
  CHECK(example.resolver.tries == defaults.resolver.tries);
  CHECK(example.dnssec.mode == defaults.dnssec.mode);
  CHECK(example.dnssec.probe == defaults.dnssec.probe);
  CHECK(example.acme.size() == defaults.acme.size());
  CHECK(std::get<http::TcpAddress>(example.acme[0].listener.address).port ==
        std::get<http::TcpAddress>(defaults.acme[0].listener.address).port);
}

// Every property that the schema names under `schema`, as dotted paths; what is open ("validators",
// "backends") ends there.
void schema_paths(const Json& root, const Json& schema, const std::string& path,
                  std::vector<std::string>& out) {
  if (schema.contains("$ref")) {
    const std::string name =
        schema.at("$ref").get<std::string>().substr(std::string("#/$defs/").size());
    return schema_paths(root, root.at("$defs").at(name), path, out);
  }
  if (schema.contains("items")) return schema_paths(root, schema.at("items"), path, out);
  if (schema.contains("properties")) {
    for (const auto& item : schema.at("properties").items()) {
      const std::string below = path.empty() ? item.key() : path + "." + item.key();
      out.push_back(below);
      schema_paths(root, item.value(), below, out);
    }
  }
  if (path == "profiles")
    schema_paths(root, root.at("$defs").at("profile"), path + ".default", out);
}

// Paths of the properties below `node` that say nothing of themselves.
void undescribed(const Json& node, const std::string& path, std::vector<std::string>& out) {
  if (const auto properties = node.find("properties"); properties != node.end()) {
    for (const auto& item : properties->items()) {
      const std::string below = path + "." + item.key();
      const bool elsewhere = item.value().value("$ref", "").starts_with("#/properties/");
      if (!elsewhere && item.value().value("description", "").empty()) out.push_back(below);
      undescribed(item.value(), below, out);
    }
  }
  for (const char* each : {"items", "additionalProperties"}) {
    const auto found = node.find(each);
    if (found != node.end() && found->is_object()) undescribed(*found, path, out);
  }
}

TEST_CASE("the schema describes every option") {
  const Json schema = parse_json(read("gatehouse.schema.json"), {.members = 4096});
  std::vector<std::string> out;
  undescribed(schema, "", out);
  for (const auto& item : schema.at("$defs").items()) undescribed(item.value(), item.key(), out);
  CHECK(out == std::vector<std::string>());
}

TEST_CASE("the schema names what the example shows") {
  const Json schema = parse_json(read("gatehouse.schema.json"));
  const Json example = parse_json(read("gatehouse.example.json"), {.comments = true});
  std::vector<std::string> in_schema;
  schema_paths(schema, schema, "", in_schema);
  const std::vector<std::string> not_in_example = {"$schema", "listeners.acme.unix",
                                                   "listeners.acme.mode", "listeners.acme.systemd",
                                                   "listeners.acme.descriptor"};
  for (const std::string& path : in_schema) {
    if (path.starts_with("listeners.public") || path.starts_with("listeners.operations")) continue;
    if (std::ranges::find(not_in_example, path) != not_in_example.end()) continue;
    const Json* place = &example;
    std::string_view rest = path;
    while (place != nullptr && !rest.empty()) {
      if (place->is_array()) place = &place->at(0);
      const std::string name(rest.substr(0, rest.find('.')));
      rest = rest.size() > name.size() ? rest.substr(name.size() + 1) : std::string_view();
      place = place->contains(name) ? &place->at(name) : nullptr;
    }
    CHECK_MESSAGE(place != nullptr, path, " is in the schema and not in the example");
  }
  for (const auto& item : example.items()) {
    CHECK_MESSAGE(std::ranges::find(in_schema, item.key()) != in_schema.end(), item.key(),
                  " is not in the schema");
  }
}

TEST_CASE("a retired backend is none that issues, and what else it says is not read") {
  const Config config = parse(with(
      R"("backends": {"local": {"type": "local", "retired": false}, "old": {"type": 7, "retired": true}})"));
  CHECK(config.backends == parse_json(R"({"local": {"type": "local"}})"));
  CHECK(config.retired_backends == std::vector<std::string>{"old"});
}

TEST_CASE("answers wait 1 s and 2 s unless the file says otherwise, down to not at all") {
  const service::AnswerWait defaults = parse(with("")).policy.server.answer_wait;
  CHECK(defaults.challenge == std::chrono::seconds(1));
  CHECK(defaults.finalize == std::chrono::seconds(2));
  CHECK(defaults.per_order() == std::chrono::seconds(3));
  const auto given = parse(with(R"("answer_wait": {"challenge": "250ms", "finalize": "0s"})"));
  CHECK(given.policy.server.answer_wait.challenge == std::chrono::milliseconds(250));
  CHECK(given.policy.server.answer_wait.finalize == std::chrono::milliseconds(0));
}

TEST_CASE("what is wrong is refused with the file, the path and what is allowed") {
  struct Row {
    std::string fields;
    std::string message;  // a part of it
  };

  const Row rows[] = {
      {R"("bas_url": 1)", "bas_url"},
      {R"("path": "acme")", "is not of the form /acme"},
      {R"("path": "/acme/")", "path"},
      {R"("public_url": "https://pki.test")", "public_url: must be http"},
      {R"("public_url": "http://pki.test/x")", "public_url"},
      {R"("trusted_proxies": ["10.0.0.0/33"])", "trusted_proxies"},
      {R"("listeners": {"acme": []})", "listeners.acme: at least one"},
      {R"("listeners": {"acme": [{"address": "localhost"}]})", "listeners.acme[0].address"},
      {R"("listeners": {"acme": [{"address": "::", "port": 70000}]})",
       "listeners.acme[0].port: 70000 is not a port (1..65535)"},
      {R"("listeners": {"acme": [{"address": "::", "port": "80"}]})", "is not a port (1..65535)"},
      {R"("listeners": {"acme": [{"address": "::", "unix": "x"}]})", "exactly one of"},
      {R"("listeners": {"acme": [{}]})", "exactly one of"},
      {R"("listeners": {"acme": [{"address": "10.0.0.1", "tls": "off"}]})",
       "without TLS is for loopback"},
      {R"("listeners": {"public": [{"address": "::", "tls": "own"}]})", "plain HTTP"},
      {R"("listeners": {"operations": [{"address": "::", "port": 443}]})", "two of them"},
      {R"("listeners": {"acme": [{"unix": "a.sock", "mode": "9"}]})", "octal"},
      {R"("control": {"socket": ""})", "control.socket: names no file"},
      {R"("control": {"socket": ")" + std::string(120, 'x') + R"("})",
       "characters, a unix socket's path at most 107"},
      {R"("control": {"port": 1})", "control.port"},
      {R"("listeners": {"acme": [{"unix": "data/control.sock"}]})", "two of them"},
      {R"("profiles": {})", "profiles: is empty"},
      {R"("profiles": {"a b": {}})", "a profile's name"},
      {R"("profiles": {"a": {}, "b": {}})", "default_profile"},
      {R"("profiles": {"a": {"validity": "90 days"}})", "profiles.a.validity"},
      {R"("profiles": {"a": {"validity": "20000d"}})", "out of range (1m..3650d)"},
      {R"("profiles": {"a": {"key_types": []}})", "profiles.a.key_types: is empty"},
      {R"("profiles": {"a": {"key_types": ["dsa"]}})", "is none of: rsa, ec-p256"},
      {R"("profiles": {"a": {"key_usages": ["keyCertSign"]}})", "is none of"},
      {R"("profiles": {"a": {"extended_key_usages": ["anything"]}})", "neither serverAuth"},
      {R"("profiles": {"a": {"allowed_addresses": ["127.0.0.1/40"]}})",
       "profiles.a.allowed_addresses: \"127.0.0.1/40\" is not a prefix: its length must be 0..32"},
      {R"("profiles": {"a": {"denied_addresses": ["::1", "localhost"]}})",
       "profiles.a.denied_addresses: \"localhost\""},
      {R"("profiles": {"a": {"identifiers": {"allowed_ip": ["x"]}}})",
       "profiles.a.identifiers.allowed_ip: \"x\""},
      {R"("profiles": {"a": {"identifiers": {"denied_ip": ["10.0.0.1/8"]}}})",
       "profiles.a.identifiers.denied_ip: \"10.0.0.1/8\""},
      {R"("profiles": {"a": {"backend": "est"}})",
       "profiles.a.backend: \"est\" is not among backends"},
      {R"("profiles": {"a": {"backend": "old"}}, "backends": {"old": {"retired": true}})",
       "profiles.a.backend: \"old\" is retired and issues nothing"},
      {R"("backends": {"local": {}, "old": {"retired": "yes"}})", "backends.old.retired"},
      {R"("profiles": {"a": {"validty": "1d"}})", "validity"},
      {R"("account_keys": {"rsa_min_bits": 1024})", "account_keys.rsa_min_bits"},
      {R"("validation": {"attempts": 0})", "validation.attempts"},
      {R"("answer_wait": {"challenge": "10001ms"})",
       "answer_wait.challenge: \"10001ms\" is out of range (0s..10s)"},
      {R"("answer_wait": {"finalize": "11s"})", "answer_wait.finalize"},
      {R"("answer_wait": {"order": "1s"})", "answer_wait.order"},
      {R"("crl": {"lifetime": "1h", "interval": "2h"})",
       "crl.interval: is not shorter than lifetime"},
      {R"("resolver": {"servers": ["dns.corp.example"]})", "is not an IP address"},
      {R"("resolver": {"dnssec": "on"})", "is none of: off, warn, required"},
      {R"("resolver": {"dnssec_probe": "192.0.2.1"})", "resolver.dnssec_probe"},
      {R"("resolver": {"dnssec_probe": ""})", "resolver.dnssec_probe"},
      {R"("resolver": {"transport": "tls"})", "is none of: automatic, tcp, udp"},
      {R"("log": {"level": "loud"})", "is none of: debug, info"},
      {R"("profiles": {"a": {"caa": "on"}})", "is none of: enforce, off"},
      {R"("caa_identities": ["https://ca.test"])", "caa_identities"},
      {R"("caa_identities": ["192.0.2.1"])", "is not a DNS name"},
      {R"("previous_account_urls": ["https://old.test/acme/default/account"])",
       "previous_account_urls"},
      {R"("previous_account_urls": ["old.test/"])", "is not of the form"},
      {R"("directories": {"a": {"previous_account_urls": ["https://old.test/a/"]},
                          "b": {"previous_account_urls": ["https://old.test/a/"]}})",
       "directories.b.previous_account_urls: \"https://old.test/a/\" is said of directory \"a\""},
      {R"("limits": {"idle": "5ms"})", "limits.idle"},
      {R"("terms_of_service": "ftp://x")", "terms_of_service: is not an http, https or data URL"},
      {R"("terms_of_service": "data:text/plain")", "terms_of_service"},
      {R"("terms_of_service": "data:,a b")", "terms_of_service"},
      {R"("website": "acme.test")", "website: is not an http or https URL"},
      {R"("directories": {})", "directories: is empty"},
      {R"("directories": {"a/b": {}})", "directories.a/b: a directory's name is 1..64"},
      {R"("directories": {"a.b": {}})", "a directory's name is"},
      {R"("directories": {"a": {"crl": {}}})", "directories.a.crl"},
      {R"("directories": {"a": {"limits": {"idle": "5s"}}})", "directories.a.limits.idle"},
      {R"("directories": {"a": {"limits": {"contacts": 101}}})", "directories.a.limits.contacts"},
      {R"("directories": {"a": {"profiles": {"p": {"validity": "x"}}}})",
       "directories.a.profiles.p.validity"},
      {R"("directories": {"a": {"profiles": {"p": {"backend": "est"}}}})",
       "directories.a.profiles.p.backend: \"est\" is not among backends"},
      {R"("profiles": {"p": {"backend": "est"}}, "directories": {"a": {}})",
       "gatehouse.json: profiles.p.backend: \"est\" is not among backends"},
      {R"("directories": {"a": {"default_profile": "p"}})",
       "directories.a.default_profile: \"p\" is not among profiles"},
      {R"("directories": {"a": {"validation": {"attempts": 0}}})",
       "directories.a.validation.attempts"},
      {R"("directories": {"a": {"account_keys": {"types": ["dsa"]}}})",
       "directories.a.account_keys.types"},
      {R"("directories": {"a": {"terms_of_service": "ftp://x"}})",
       "directories.a.terms_of_service"},
      {R"("directories": {"a": {"caa_identities": ["192.0.2.1"]}})",
       "directories.a.caa_identities"},
      {R"("directories": {"a": {}, "b": {}})",
       "default_directory: \"default\" is not among directories; name the one"},
      {R"("default_directory": "other")", "default_directory: \"other\" is not among"},
  };
  for (const Row& row : rows) {
    const std::string error = error_of(with(row.fields));
    CAPTURE(row.fields);
    CAPTURE(error);
    CHECK(error.starts_with("gatehouse.json: "));
    CHECK(error.find(row.message) != std::string::npos);
  }
  CHECK(error_of("{}").find("base_url") != std::string::npos);
  CHECK(error_of(R"({"base_url": "acme.test"})").find("base_url") != std::string::npos);
  CHECK(error_of(R"({"base_url": "https://acme.test/x"})").find("base_url") != std::string::npos);
  CHECK(error_of(R"({"base_url": "http://acme.test"})").find("base_url: must be https") !=
        std::string::npos);
  CHECK(error_of("[]").find("not a JSON object") != std::string::npos);
  CHECK(error_of("{").starts_with("gatehouse.json: "));
}

TEST_CASE("what a reload has changed is named by its path, never by its value") {
  const auto config = [](const char* rest) {
    return parse_config(std::string(R"({"base_url": "https://a.test", )") + rest + "}", "/x/g.json",
                        {"threads.http=3"});
  };
  const Config before = config(
      R"("log": {"level": "info"}, "limits": {"read": "5s"}, "allowed_hosts": ["b.test"],
         "website": "https://a.test/about")");
  CHECK(changes_between(before, before).empty());
  const Config after = config(
      R"("log": {"level": "debug"}, "limits": {"read": "5s", "idle": "9s"},
         "allowed_hosts": ["b.test", "c.test"], "retention": {"orders": "2d"})");
  CHECK(changes_between(before, after) == std::vector<std::string>{"log.level", "limits.idle",
                                                                   "allowed_hosts", "website",
                                                                   "retention"});
  CHECK_FALSE(first_fixed_difference(config(R"("log": {"level": "info"})"),
                                     config(R"("log": {"level": "debug", "access": "all"},
                                               "limits": {"connections": 100})")));
}

TEST_CASE("a setting from the command line wins over the file") {
  const Config config =
      parse(with(R"("threads": {"http": 1})"),
            {"threads.http=4", "validators.http01.port=5002", "path=/pki", "log.level=debug",
             R"(profiles.default.allowed_addresses=["127.0.0.1/32"])"});
  CHECK(config.threads.http == 4);
  CHECK(config.validators.at("http01").at("port") == 5002);
  CHECK(config.web.path == "/pki");
  CHECK(config.log.level == LogLevel::debug);
  CHECK(rules_of(config).profiles.at("default").allowed_addresses ==
        testing::prefixes({"127.0.0.1/32"}));
}

TEST_CASE("a setting that cannot be applied says which and how to write it") {
  for (const std::string setting :
       {"port", "=1", "threads..http=1", "base_url.x=1", "a.b.c.d.e.f.g.h.i=1"}) {
    const std::string error = error_of(with(""), {setting});
    CAPTURE(error);
    CHECK(error.find("--set " + setting) != std::string::npos);
  }
}

TEST_CASE("CAA knows this CA by base_url's host, if it is a name, unless names are given") {
  using Names = std::vector<std::string>;
  CHECK(rules_of(parse(with(""))).caa_identities == Names{"acme.test"});
  CHECK(rules_of(parse(with(R"("caa_identities": ["CA.Example", "b.example"])"))).caa_identities ==
        Names{"ca.example", "b.example"});
  CHECK(rules_of(parse(with(R"("caa_identities": [])"))).caa_identities.empty());
  CHECK(rules_of(parse(R"({"base_url": "https://192.0.2.1"})")).caa_identities.empty());
  CHECK(rules_of(parse(R"({"base_url": "https://[2001:db8::1]"})")).caa_identities.empty());
}

TEST_CASE("terms may be a data URL, and a backdate as long as the validity") {
  const service::Directory rules = rules_of(parse(with(
      R"("terms_of_service": "data:text/plain,Do%20what%20thou%20wilt",
         "profiles": {"short": {"validity": "10m", "backdate": "1h"}})")));
  CHECK(rules.terms_of_service == "data:text/plain,Do%20what%20thou%20wilt");
  CHECK(rules.profile("")->backdate == std::chrono::hours(1));
}

TEST_CASE("a directory says what differs, and takes the rest from the top level") {
  const Config config = parse(with(R"("terms_of_service": "https://acme.test/terms",
      "website": "https://acme.test/", "validation": {"attempts": 5, "gap": "7s"},
      "account_keys": {"rsa_min_bits": 3072}, "limits": {"contacts": 4},
      "profiles": {"tls": {"validity": "30d"}, "short": {"validity": "1d"}},
      "default_profile": "short",
      "directories": {
        "default": {},
        "devices": {"terms_of_service": "", "validation": {"gap": "9s", "answered_attempts": 4, "answered_gap": "3s"},
                    "limits": {"pending_orders_per_account": 2, "pending_names_per_account": 7,
                               "account_changes_per_hour": 8, "new_accounts_per_hour": 9},
                    "caa_identities": ["devices.example"],
                    "profiles": {"device": {"challenge_types": ["dns-01"]}}},
        "staging": {"default_profile": "tls"}})"));
  CHECK(config.policy.directories.size() == 3);
  CHECK(config.web.default_directory == "default");

  const service::Directory plain = rules_of(config);
  CHECK(plain.name == DirectoryId("default"));
  CHECK(plain.terms_of_service == "https://acme.test/terms");
  CHECK(plain.profile("")->validity == std::chrono::hours(24));
  CHECK(plain.max_contacts == 4);

  const service::Directory devices = rules_of(config, "devices");
  CHECK(devices.name == DirectoryId("devices"));
  CHECK(devices.terms_of_service.empty());
  CHECK(devices.website == "https://acme.test/");
  CHECK(devices.validation_attempts == 5);
  CHECK(devices.validation_gap == std::chrono::seconds(9));
  CHECK(devices.validation_answered_attempts == 4);
  CHECK(devices.validation_answered_gap == std::chrono::seconds(3));
  CHECK(devices.account_keys.rsa_min_bits == 3072);
  CHECK(devices.max_contacts == 4);
  CHECK(devices.max_orders_pending == 2);
  CHECK(devices.max_names_pending == 7);
  CHECK(devices.max_account_changes == 8);
  CHECK(devices.max_new_accounts == 9);
  CHECK(devices.caa_identities == std::vector<std::string>{"devices.example"});
  CHECK(devices.profiles.size() == 1);
  CHECK(devices.profile("")->challenge_types == std::vector<std::string>{"dns-01"});

  const service::Directory staging = rules_of(config, "staging");
  CHECK(staging.profiles == plain.profiles);
  CHECK(staging.profile("")->validity == std::chrono::hours(24 * 30));
  CHECK(staging.caa_identities == plain.caa_identities);
}

TEST_CASE("/directory is the only directory, \"default\", or the one that is named") {
  CHECK(parse(with(R"("directories": {"corp": {}})")).web.default_directory == "corp");
  CHECK(parse(with(R"("directories": {"a": {}, "default": {}})")).web.default_directory ==
        "default");
  CHECK(parse(with(R"("directories": {"a": {}, "b": {}}, "default_directory": "b")"))
            .web.default_directory == "b");
}

TEST_CASE("top-level profiles that no directory uses need no default and no backend of theirs") {
  // The built-in profile's backend, "local", is not there, and nothing is ordered under it.
  const Config config = parse(with(R"("backends": {"sub": {"type": "local"}},
      "default_profile": "device",
      "directories": {"devices": {"profiles": {"device": {"backend": "sub"}, "other": {"backend": "sub"}}}})"));
  CHECK(rules_of(config, "devices").default_profile == "device");
}

// The example of a landed version says what it said then: whoever copied it goes on.
TEST_CASE("a config from before there were directories means one, \"default\"") {
  std::ifstream file(testing::source_directory() + "/tests/data/config/before-directories.json");
  REQUIRE(file);
  const Config before = parse(std::string(std::istreambuf_iterator<char>(file), {}));
  const Config example = parse(read("gatehouse.example.json"));
  CHECK(before.policy.directories.size() == 1);
  CHECK(before.policy.directories == example.policy.directories);
  CHECK(before.policy.server == example.policy.server);
  CHECK(before.web.default_directory == "default");
}

}  // namespace
}  // namespace gatehouse::config
