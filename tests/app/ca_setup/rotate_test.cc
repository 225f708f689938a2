// The next issuing CA: made, put in use, and the old one still at work.
#include "acme-server/app/ca_setup/rotate.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "acme-server/app/ca_setup/take_over.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/file_access.h"
#include "acme-server/base/files.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/name_constraints.h"
#include "acme-server/crypto/path.h"
#include "config/config.h"
#include "tests/support/company_ca.h"
#include "tests/support/test_server.h"

namespace gatehouse::app {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using std::chrono::hours;
using How = RotateOptions::How;

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing failed";
}

// What `openssl verify` says of a chain by a partitioned CRL: 0, or 2 when it is revoked.
int openssl_verdict(const std::vector<crypto::Certificate>& chain, const crypto::Certificate& root,
                    const std::string& crl, Instant at) {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& name, std::string_view content) {
    write_file(folder.path() + "/" + name, content, FileAccess::owner_only, ExistingFile::refuse);
    return folder.path() + "/" + name;
  };
  const std::string crl_pem = folder.path() + "/crl.pem";
  REQUIRE(openssl({"crl", "-inform", "DER", "-in", put("crl", crl), "-out", crl_pem}) == 0);
  return openssl({"verify", "-attime", std::to_string(to_unix(at)), "-crl_check", "-extended_crl",
                  "-CRLfile", crl_pem, "-CAfile", put("root.pem", crypto::to_pem(root.der)),
                  "-untrusted", put("issuer.pem", crypto::to_pem(chain.at(1).der)),
                  put("leaf.pem", crypto::to_pem(chain.at(0).der))});
}

// A CA of our own, some months old.
struct Fixture {
  Fixture() {
    options.directory = folder.path() + "/gatehouse";
    options.base_url = "https://acme.corp.test";
    options.organization = "Corp";
    options.permitted_dns = {"corp.test"};
    options.permitted_ip = {"10.0.0.0/8"};
    rotation.config_file = home("gatehouse.json");
    rotation.root_key = home("ca/root.key");
  }

  void make() {
    init(options, clock, entropy);
    clock.advance(hours(24 * 100));
  }

  std::string home(const std::string& name) const { return options.directory + "/" + name; }

  std::string rotate() {
    std::string printed;
    for (const std::string& line : rotate_issuer(rotation, clock, entropy)) printed += line + "\n";
    return printed;
  }

  Json local() const {
    return config::load_config(home("gatehouse.json"), {}).backends.at("local");
  }

  crypto::Certificate certificate(const std::string& name) const {
    return crypto::parse_pem_chain(read_file(home(name))).value().front();
  }

  TemporaryFolder folder;
  InitOptions options;
  RotateOptions rotation;
  ManualClock clock;
  SeededEntropy entropy;
};

TEST_CASE("our own root signs the next issuer, which is the old one under another name and key") {
  Fixture f;
  f.make();
  const crypto::Certificate old = f.certificate("ca/issuer.pem");
  CHECK(says(f.rotate(), "restart the server"));
  const crypto::Certificate next = f.certificate("ca/issuer-2.pem");
  CHECK(next.subject_name == "O=Corp, CN=Corp Issuing CA 2");
  CHECK(next.spki != old.spki);
  CHECK(next.path_length == old.path_length);
  CHECK(next.crl_urls == old.crl_urls);
  CHECK(next.issuer_urls == old.issuer_urls);
  CHECK(next.not_after - next.not_before == old.not_after - old.not_before);
  CHECK(crypto::read_name_constraints(next).value() == crypto::read_name_constraints(old).value());
  CHECK(crypto::why_openssl_refuses({next}, f.certificate("ca/root.pem"), f.clock.now()) ==
        std::nullopt);
  CHECK_FALSE(key_file_problem(f.home("ca/issuer-2.key")));
  CHECK(f.local() == parse_json(R"({"type": "local", "certificate": "ca/issuer-2.pem",
      "key": "ca/issuer-2.key", "root": "ca/root.pem", "root_crl": "ca/root.crl",
      "previous": [{"certificate": "ca/issuer.pem", "key": "ca/issuer.key"}]})"));
  CHECK(says(read_file(f.home("gatehouse.json")), "// Renewed by `gatehouse root crl`"));
}

TEST_CASE("a second run by mistake is refused; one that is meant makes the third") {
  Fixture f;
  f.make();
  f.rotate();
  const std::string config = read_file(f.home("gatehouse.json"));
  CHECK(says(failure_of([&] { f.rotate(); }), "is not a day old"));
  CHECK(read_file(f.home("gatehouse.json")) == config);
  f.rotation.again = true;
  f.rotate();
  CHECK(f.certificate("ca/issuer-3.pem").subject_name == "O=Corp, CN=Corp Issuing CA 3");
  CHECK(f.local().at("previous").size() == 2);
  CHECK(f.local().at("previous").at(0).at("certificate") == "ca/issuer-2.pem");
}

TEST_CASE("a run that was cut short is taken up, wherever it ended") {
  Fixture f;
  f.make();
  const std::string before = read_file(f.home("gatehouse.json"));
  f.rotate();
  const std::string key = read_file(f.home("ca/issuer-2.key"));
  // The config was not switched; then the certificate was not written either.
  for (const bool with_certificate : {true, false}) {
    write_file(f.home("gatehouse.json"), before, FileAccess::everyone_reads, ExistingFile::replace);
    if (!with_certificate) fs::remove(f.home("ca/issuer-2.pem"));
    f.rotate();
    CHECK(read_file(f.home("ca/issuer-2.key")) == key);
    CHECK(f.local().at("certificate") == "ca/issuer-2.pem");
    CHECK(f.local().at("previous").size() == 1);
  }
}

TEST_CASE("what cannot be done is refused, and the old issuer stays in use") {
  struct Row {
    std::string what;
    std::function<void(Fixture&)> spoil;
    std::string says;
  };

  const Row rows[] = {
      {"no key", [](Fixture& f) { fs::remove(f.home("ca/root.key")); }, "root.key"},
      {"another key", [](Fixture& f) { f.rotation.root_key = f.home("ca/issuer.key"); },
       "is not the key of the root"},
      {"a key that others read",
       [](Fixture& f) {
         fs::permissions(f.home("ca/root.key"), fs::perms::others_read, fs::perm_options::add);
       },
       "chmod 600"},
      {"the old name", [](Fixture& f) { f.rotation.name = "Corp Issuing CA"; },
       "needs another name"},
      {"a root at its end",
       [](Fixture& f) { f.clock.set(f.certificate("ca/root.pem").not_after - hours(24 * 20)); },
       "make a new CA"},
      {"another backend", [](Fixture& f) { f.rotation.backend = "other"; },
       "name one of its local backends with --backend: local"},
      {"an import that nobody asked for",
       [](Fixture& f) {
         f.rotation.how = How::import;
         f.rotation.offered.files = {f.home("ca/root.pem")};
       },
       "rotate-issuer --csr"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    f.make();
    const std::string before = read_file(f.home("gatehouse.json"));
    row.spoil(f);
    const std::string failure = failure_of([&] { f.rotate(); });
    CHECK_MESSAGE(says(failure, row.says), failure);
    CHECK(read_file(f.home("gatehouse.json")) == before);
  }
}

TEST_CASE(
    "under a company's root: a request, then what came back, the same again changes nothing") {
  const CompanyCa company;
  Fixture f;
  SystemClock real;
  OsEntropy entropy;
  init_request(f.options, real, entropy);
  const auto import = [&](const std::string& file) {
    import_issuer({.directory = f.options.directory,
                   .backend = "",
                   .offered = {.files = {file, company.root()}, .root = {}},
                   .alternate = false},
                  real, entropy);
  };
  import(company.sign(f.home("ca/issuer.csr"), "first"));
  const auto rotate = [&] { return rotate_issuer(f.rotation, real, entropy); };
  f.rotation.how = How::request;
  CHECK(says(failure_of(rotate), "--again"));
  f.rotation.again = true;
  rotate();
  const std::string request = read_file(f.home("ca/issuer-2.csr"));
  rotate();
  CHECK(read_file(f.home("ca/issuer-2.csr")) == request);
  CHECK_FALSE(f.local().contains("previous"));

  f.rotation.how = How::import;
  const std::string second = company.sign(f.home("ca/issuer-2.csr"), "second");
  const CompanyCa other("Other Root");
  f.rotation.offered.files = {other.sign(f.home("ca/issuer-2.csr"), "x"), other.root()};
  CHECK(says(failure_of(rotate), "another than \"O=Company, CN=Company Root\""));
  f.rotation.offered.files = {company.bag({company.root(), second}, "second.p7b")};
  rotate();
  CHECK(f.local().at("certificate") == "ca/issuer-2.pem");
  CHECK(says(rotate().front(), "nothing was changed"));
  CHECK(openssl({"verify", "-CAfile", f.home("ca/root.pem"), f.home("ca/issuer-2.pem")}) == 0);
}

TEST_CASE("after a rotation the old issuer finishes what it began and signs its CRLs") {
  TestServer server({.config = parse_json(R"({"crl": {"lifetime": "7d"}, "backends": {"local":
      {"type": "local", "certificate": "ca/issuer.pem", "key": "ca/issuer.key",
       "root": "ca/root.pem", "crl_shards": 3}}})")});
  AcmeClient client = registered(server);
  const auto chain_of = [](const Reply& reply) {
    return crypto::parse_pem_chain(reply.body).value();
  };
  const auto old_chain = chain_of(client.download(issued_order(server, client, {"old.test"})));
  const ClientOrder open = client.new_order({"open.test"});
  const ClientOrder begun = ready_order(server, client, {"begun.test"});
  server.lane.set_places(0);
  REQUIRE(client.finalize(begun).status == 200);  // its intent names the old issuer
  server.lane.set_places(SteppedExecutor::kPlaces);

  RotateOptions rotation;
  rotation.config_file = server.folder.config_file();
  rotation.root_key = server.folder.path() + "/ca/root.key";
  rotation.again = true;
  rotate_issuer(rotation, server.clock, server.entropy);
  server.restart();
  server.run_jobs();

  // Nothing was submitted to the old issuer: the order is prepared anew, under the new one.
  const auto begun_chain = chain_of(client.download(client.get(begun)));
  CHECK(begun_chain.at(1).subject_name == "CN=Test Issuing CA 2");
  client.respond(open);
  server.run_jobs();
  REQUIRE(client.finalize(open).status == 200);
  server.run_jobs();
  const auto new_chain = chain_of(client.download(client.get(open)));
  CHECK(new_chain.at(1).der == begun_chain.at(1).der);

  // Both are revoked, each on a CRL of its own issuer at a place of its own.
  CHECK(old_chain.front().crl_urls != new_chain.front().crl_urls);
  CHECK(old_chain.front().issuer_urls != new_chain.front().issuer_urls);
  for (const auto& chain : {old_chain, new_chain}) {
    const crypto::Certificate& leaf = chain.front();
    CHECK(crypto::why_openssl_refuses(chain, server.folder.root(), server.clock.now()) ==
          std::nullopt);
    const auto path = [](const std::string& url) {
      return url.substr(std::string("http://pki.test").size());
    };
    const http::Response before = server.get("public", path(leaf.crl_urls.at(0)));
    CHECK(openssl_verdict(chain, server.folder.root(), *before.body, server.clock.now()) == 0);
    REQUIRE(client.revoke(leaf.der).status == 200);
    server.run_jobs();
    const http::Response crl = server.get("public", path(leaf.crl_urls.at(0)));
    REQUIRE(crl.status == 200);
    CHECK(crypto::crl_is_signed_by(as_bytes(*crl.body), chain.at(1)));
    const auto read = crypto::parse_crl(as_bytes(*crl.body)).value();
    // And OpenSSL, asked with this CRL, finds the certificate revoked.
    CHECK(openssl_verdict(chain, server.folder.root(), *crl.body, server.clock.now()) == 2);
    REQUIRE(read.entries.size() == 1);
    CHECK(read.entries.front().serial == leaf.serial);
    const http::Response issuer = server.get("public", path(leaf.issuer_urls.at(0)));
    REQUIRE(issuer.status == 200);
    CHECK(*issuer.body == as_text(chain.at(1).der));
  }
  CHECK(server.get("public", "/crl/" + crypto::spki_sha256_of(old_chain.at(1).spki) + "/2.crl")
            .status == 200);
}

}  // namespace
}  // namespace gatehouse::app
