#include "acme-server/app/ca_setup/init.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/digest.h"
#include "ca-backends/registry.h"
#include "config/config.h"
#include "tests/support/manual_clock.h"
#include "tests/support/prefixes.h"
#include "tests/support/seeded_entropy.h"
#include "tests/support/test_database.h"

namespace gatehouse::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;
using testing::kNoon;

struct Fixture {
  InitOptions options() const {
    InitOptions given;
    given.directory = folder.path() + "/gatehouse";
    given.base_url = "https://acme.corp.test:14000";
    given.organization = "Corp";
    return given;
  }

  InitResult make(const InitOptions& given) { return init(given, clock, entropy); }

  InitResult make() { return make(options()); }

  std::string path(const std::string& name) const { return folder.path() + "/gatehouse/" + name; }

  crypto::Certificate certificate(const std::string& name) const {
    return crypto::parse_pem_chain(read_file(path(name))).value().front();
  }

  crypto::Crl root_crl() const {
    return crypto::parse_crl(as_bytes(read_file(path("ca/root.crl")))).value();
  }

  RootCrlOptions crl_options() const {
    RootCrlOptions given;
    given.directory = folder.path() + "/gatehouse";
    return given;
  }

  // The local backend as the server would make it of what is in the folder.
  backends::Backend backend(const Secret& passphrase = Secret()) {
    const config::Config config = config::load_config(path("gatehouse.json"), {});
    const auto read = [this](const std::string& name) { return read_file(path(name)); };
    const JsonObject all(config.backends, "backends");
    return backends::make_backend("local", all.object("local"),
                                  {.clock = clock,
                                   .entropy = entropy,
                                   .log = log,
                                   .public_url = config.public_url,
                                   .read_file = read,
                                   .read_key_file = read,
                                   .resolve_secret = [=](const std::string&) { return passphrase; },
                                   .decorate_signer = [](auto signer) { return signer; }});
  }

  testing::TemporaryFolder folder;
  testing::ManualClock clock;
  testing::SeededEntropy entropy;
  Log log;
};

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing failed";
}

unsigned mode_of(const std::string& path) {
  struct stat found = {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777U;
}

}  // namespace

TEST_CASE("data may lie elsewhere, and the listeners may be systemd's sockets") {
  Fixture f;
  InitOptions options = f.options();
  options.data = f.folder.path() + "/var/data";
  options.systemd = true;
  init(options, f.clock, f.entropy);
  const config::Config config = config::load_config(f.path("gatehouse.json"), {});
  CHECK(config.data_directory == options.data);
  CHECK(config.store.database == options.data + "/gatehouse.db");
  CHECK(mode_of(options.data) == 0700U);
  REQUIRE(config.acme.size() == 1);
  CHECK(config.acme.front().socket_name == "acme");
  REQUIRE(config.public_files.size() == 1);
  CHECK(config.public_files.front().socket_name == "public");
}

TEST_CASE("init refuses what makes no sense, in words, and writes nothing") {
  struct Row {
    std::string what;
    std::function<void(InitOptions&)> spoil;
    std::string says;
  };

  const Row rows[] = {
      {"plain HTTP", [](auto& o) { o.base_url = "http://acme.corp.test"; }, "base_url"},
      {"a path", [](auto& o) { o.base_url = "https://acme.corp.test/acme"; }, "base_url"},
      {"no URL", [](auto& o) { o.base_url = "acme.corp.test"; }, "base_url"},
      {"a public URL over HTTPS", [](auto& o) { o.public_url = "https://pki.corp.test"; },
       "public_url"},
      {"a public URL with a path", [](auto& o) { o.public_url = "http://pki.corp.test/ca"; },
       "public_url"},
      {"one name for both", [](auto& o) { o.root_name = "corp issuing ca"; }, "look self-signed"},
      {"a name too long", [](auto& o) { o.organization = std::string(60, 'x'); }, "64 characters"},
      {"an issuing CA that outlives its root",
       [](auto& o) { o.issuer_validity = o.root_validity + seconds(1); }, "at least as long"},
      {"an issuing CA of a day", [](auto& o) { o.issuer_validity = hours(24); }, "30 days"},
      {"a CRL of an hour", [](auto& o) { o.root_crl_lifetime = hours(1); }, "2 days"},
      {"a constraint that is no name", [](auto& o) { o.permitted_dns = {"*.corp.test"}; },
       "*.corp.test"},
      {"a constraint that begins with a dot", [](auto& o) { o.permitted_dns = {".corp.test"}; },
       ".corp.test"},
      {"a constraint that is no prefix", [](auto& o) { o.permitted_ip = {"10.0.0.0/33"}; },
       "10.0.0.0/33"},
      {"a passphrase the server would not find", [](auto& o) { o.issuer_passphrase = Secret("x"); },
       "env:NAME or file:path"},
      {"a base URL outside its own constraints",
       [](auto& o) { o.permitted_dns = {"apps.corp.test"}; },
       "\"acme.corp.test\" is outside of what this CA's certificate permits"},
      {"an address as base URL outside its constraints",
       [](auto& o) {
         o.base_url = "https://192.0.2.1";
         o.permitted_ip = {"10.0.0.0/8"};
       },
       "192.0.2.1 is outside"},
      {"a host that no certificate can name",
       [](auto& o) { o.base_url = "https://acme_1.corp.test"; },
       "base_url: the server's own certificate cannot name it"},
      {"an empty passphrase", [](auto& o) { o.issuer_passphrase_reference = "env:PASS"; },
       "not be empty"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    InitOptions options = f.options();
    row.spoil(options);
    const std::string failure = failure_of([&] { f.make(options); });
    CHECK_MESSAGE(failure.find(row.says) != std::string::npos, failure);
    CHECK_FALSE(fs::exists(options.directory));
  }
}

TEST_CASE("init touches nothing where anything of it exists") {
  for (const std::string name : {"gatehouse.json", "ca", "ca.new"}) {
    CAPTURE(name);
    Fixture f;
    make_private_folder(f.folder.path() + "/gatehouse");
    write_file(f.path(name), "mine", FileAccess::owner_only, ExistingFile::refuse);
    const std::string failure = failure_of([&] { f.make(); });
    CHECK(failure.find(f.path(name) + " exists; nothing was changed") != std::string::npos);
    CHECK(read_file(f.path(name)) == "mine");
    CHECK(std::distance(fs::directory_iterator(f.path("")), fs::directory_iterator()) == 1);
  }
}

TEST_CASE("init a second time leaves the first as it was") {
  Fixture f;
  f.make();
  const std::string key = read_file(f.path("ca/root.key"));
  CHECK_THROWS_AS(f.make(), std::runtime_error);
  CHECK(read_file(f.path("ca/root.key")) == key);
}

TEST_CASE("keys are their owner's alone; what is public can be read") {
  Fixture f;
  f.make();
  CHECK(mode_of(f.path("ca")) == 0700);
  for (const char* name : {"ca/root.key", "ca/issuer.key"}) {
    CHECK(mode_of(f.path(name)) == 0600);
    CHECK_FALSE(key_file_problem(f.path(name)));
  }
  for (const char* name : {"ca/root.pem", "ca/issuer.pem", "ca/root.crl", "gatehouse.json"}) {
    CHECK(mode_of(f.path(name)) == 0644);
  }
  CHECK_FALSE(fs::exists(f.path("ca.new")));
}

TEST_CASE("the issuing CA says where the root's CRL and certificate are, and has none below it") {
  Fixture f;
  InitOptions options = f.options();
  options.public_url = "http://pki.corp.test:8080";
  f.make(options);
  const crypto::Certificate root = f.certificate("ca/root.pem");
  const crypto::Certificate issuer = f.certificate("ca/issuer.pem");
  CHECK(root.subject_name.find("Corp Root CA") != std::string::npos);
  CHECK(root.not_after == root.not_before + options.root_validity - seconds(1));
  CHECK(root.is_ca);
  CHECK(issuer.path_length == 0);
  CHECK(issuer.key_usages == std::vector<std::string>{"keyCertSign", "cRLSign"});
  CHECK(issuer.authority_key_id == root.subject_key_id);
  CHECK(issuer.crl_urls == std::vector<std::string>{"http://pki.corp.test:8080/crl/root.crl"});
  CHECK(issuer.issuer_urls ==
        std::vector<std::string>{"http://pki.corp.test:8080/issuer/root.cer"});
  CHECK_FALSE(crypto::why_chain_fails({issuer}, root, kNoon));

  const crypto::Crl crl = f.root_crl();
  CHECK(crl.entries.empty());
  CHECK(crl.head.distribution_point.empty());
  CHECK(crl.head.number == to_unix(kNoon) * 1'000'000);
  CHECK(crl.head.next_update == kNoon + options.root_crl_lifetime);
}

TEST_CASE("the config that init writes is one the server takes, and makes a backend of") {
  Fixture f;
  InitOptions options = f.options();
  options.public_url = "http://pki.corp.test:8080";
  options.permitted_dns = {"corp.test"};
  options.permitted_ip = {"10.0.0.0/8"};
  options.issuer_passphrase = Secret("open sesame");
  options.issuer_passphrase_reference = "env:CA_PASS";
  f.make(options);
  const config::Config config = config::load_config(f.path("gatehouse.json"), {});
  CHECK(config.web.base_url == options.base_url);
  CHECK(config.public_url == options.public_url);
  const IdentifierPolicy& names =
      config.policy.directory(DirectoryId("default")).profile("")->identifiers;
  CHECK(names.allowed_dns == std::vector<std::string>{"corp.test", "*.corp.test"});
  CHECK(names.allowed_ip == testing::prefixes(options.permitted_ip));
  REQUIRE(config.public_files.size() == 1);
  CHECK(std::get<http::TcpAddress>(config.public_files.front().listener.address).port == 8080);

  CHECK_THROWS_AS(f.backend(Secret("wrong")), std::runtime_error);
  backends::Backend backend = f.backend(Secret("open sesame"));
  const auto crls = backend.crls->offline_crls();
  REQUIRE(crls.size() == 1);
  CHECK(crls.front().file == "/crl/root.crl");
  CHECK(as_text(crls.front().der) == read_file(f.path("ca/root.crl")));
}

TEST_CASE("the server needs no more than the issuing CA's key") {
  Fixture f;
  f.make();
  fs::remove(f.path("ca/root.key"));
  CHECK_NOTHROW(f.backend());
}

TEST_CASE("the least config has the defaults that the example describes") {
  Fixture f;
  f.make();
  const std::string text = read_file(f.path("gatehouse.json"));
  CHECK(text.find("\"listeners\"") == std::string::npos);
  CHECK(text.find("\"profiles\"") == std::string::npos);
  CHECK(text.find("passphrase") == std::string::npos);
  CHECK(config::load_config(f.path("gatehouse.json"), {}).public_url == "http://acme.corp.test");
}

TEST_CASE("init prints the root's fingerprint and the public URL to be looked at") {
  Fixture f;
  const InitResult result = f.make();
  std::string printed;
  for (const std::string& line : result.lines) printed += line + "\n";
  std::string digits;
  for (const char c : result.root_fingerprint) {
    if (c != ':') digits += c;
  }
  CHECK(result.root_fingerprint.size() == 95);
  const auto octets = hex_decode(digits);
  REQUIRE(octets);
  CHECK(hex_encode(*octets) == crypto::sha256_hex(f.certificate("ca/root.pem").der));
  CHECK(printed.find(result.root_fingerprint) != std::string::npos);
  CHECK(printed.find("http://acme.corp.test\n") != std::string::npos);
  CHECK(printed.find("gatehouse serve --config " + f.path("gatehouse.json")) != std::string::npos);
  CHECK(printed.find("Neither private key is encrypted") != std::string::npos);
}

TEST_CASE("root crl refuses in words, and leaves the old CRL") {
  struct Row {
    std::string what;
    std::function<void(Fixture&, RootCrlOptions&)> spoil;
    std::string says;
  };

  const Row rows[] = {
      {"no key", [](Fixture& f, auto&) { fs::remove(f.path("ca/root.key")); }, "root.key"},
      {"a key that others can read",
       [](Fixture& f, auto&) {
         fs::permissions(f.path("ca/root.key"), fs::perms::others_read, fs::perm_options::add);
       },
       "chmod 600"},
      {"another key", [](Fixture& f, auto& o) { o.root_key = f.path("ca/issuer.key"); },
       "is not the key of the root"},
      {"a reason for subscribers' certificates only", [](Fixture&, auto& o) { o.reason = 6; },
       "reason 6"},
      {"no serial", [](Fixture&, auto& o) { o.revoke = {"xyz"}; }, "is no serial number"},
      {"zero", [](Fixture&, auto& o) { o.revoke = {"00"}; }, "is no serial number"},
      {"a serial too long", [](Fixture&, auto& o) { o.revoke = {std::string(42, '1')}; },
       "is no serial number"},
      {"a lifetime of an hour", [](Fixture&, auto& o) { o.lifetime = hours(1); }, "2 days"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    f.make();
    const std::string before = read_file(f.path("ca/root.crl"));
    RootCrlOptions options = f.crl_options();
    row.spoil(f, options);
    const std::string failure = failure_of([&] { renew_root_crl(options, f.clock); });
    CHECK_MESSAGE(failure.find(row.says) != std::string::npos, failure);
    CHECK(read_file(f.path("ca/root.crl")) == before);
  }
}

TEST_CASE("root crl wants the CRL before, lest what it revokes be valid again") {
  Fixture f;
  f.make();
  fs::remove(f.path("ca/root.crl"));
  CHECK(failure_of([&] {
          renew_root_crl(f.crl_options(), f.clock);
        }).find("would be valid again") != std::string::npos);
  fs::copy_file(f.path("ca/root.pem"), f.path("ca/root.crl"));
  CHECK_THROWS_AS(renew_root_crl(f.crl_options(), f.clock), std::runtime_error);
}

TEST_CASE("root crl numbers upwards, keeps what was revoked and adds what is") {
  Fixture f;
  InitOptions options = f.options();
  options.root_passphrase = Secret("for the root alone");
  f.make(options);
  const std::string moved = f.folder.path() + "/root.key";
  fs::rename(f.path("ca/root.key"), moved);
  RootCrlOptions crl = f.crl_options();
  crl.root_key = moved;
  CHECK(failure_of([&] { renew_root_crl(crl, f.clock); }).find("passphrase") != std::string::npos);
  crl.passphrase = Secret("for the root alone");
  const std::int64_t first = f.root_crl().head.number;

  crl.revoke = {"0A:BC"};
  const RootCrlResult second = renew_root_crl(crl, f.clock);
  CHECK(second.number == first + 1);  // within the same second
  CHECK(second.entries == 1);
  f.clock.set(kNoon - hours(24));  // a clock that is behind
  crl.revoke = {"0abc", "01"};
  crl.reason = 4;
  const RootCrlResult third = renew_root_crl(crl, f.clock);
  CHECK(third.number > second.number);
  f.clock.set(kNoon + hours(24));
  crl.revoke = {};
  renew_root_crl(crl, f.clock);
  const crypto::Crl now = f.root_crl();
  CHECK(now.head.number == to_unix(kNoon + hours(24)) * 1'000'000);
  CHECK(now.head.next_update == kNoon + hours(24) + crl.lifetime);
  REQUIRE(now.entries.size() == 2);
  CHECK(now.entries[0] == crypto::CrlEntry{.serial = "0abc", .revoked_at = kNoon, .reason = 2});
  CHECK(now.entries[1] ==
        crypto::CrlEntry{.serial = "01", .revoked_at = kNoon - hours(24), .reason = 4});
  CHECK_NOTHROW(f.backend());
}

}  // namespace gatehouse::app
