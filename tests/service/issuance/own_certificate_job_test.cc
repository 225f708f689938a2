#include "acme-server/service/issuance/own_certificate_job.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/service/certificates/revocation.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using service::OwnCertificateJob;
using service::TlsIdentity;
using std::chrono::hours;
using std::chrono::seconds;
using testing::ScriptedBackend;
using testing::TestServices;

std::vector<Identifier> identifiers_of(const std::vector<std::string>& names) {
  std::vector<Identifier> identifiers;
  for (const std::string& name : names) identifiers.push_back(dns_identifier(name).value());
  identifiers.push_back(ip_identifier("192.0.2.1").value());
  return identifiers;
}

crypto::Certificate leaf_of(const TlsIdentity& identity) {
  return crypto::parse_pem_chain(identity.chain_pem).value().front();
}

struct Fixture {
  Fixture() { start({"acme.test"}); }

  // As a process that begins, with these names in its config.
  void start(const std::vector<std::string>& names) {
    if (job) services.restart();
    job = std::make_unique<OwnCertificateJob>(
        services.context(),
        service::OwnCertificateOptions{.directory = DirectoryId("default"),
                                       .identifiers = identifiers_of(names),
                                       .profile = "",
                                       .key_directory = keys},
        [this](const TlsIdentity& identity) { changes.push_back(identity); });
    services.runner().add(*job, services.lane);
    job->enqueue();
  }

  // Runs jobs for a while, second by second.
  void settle(int rounds = 5) {
    for (int i = 0; i < rounds; ++i) {
      services.run_jobs();
      services.advance(seconds(1));
    }
  }

  std::vector<std::string> key_files() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(keys, error)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::vector<CertificateRecord> issued() {
    return services.store->read(
        [](store::Tx& tx) { return tx.certificates().list(std::nullopt, 100); });
  }

  TestServices services;
  std::string keys = services.store.folder() + "/data/keys";
  std::vector<TlsIdentity> changes;
  std::unique_ptr<OwnCertificateJob> job;
};

mode_t mode_of(const std::string& path) {
  struct stat found = {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777U;
}

}  // namespace

TEST_CASE("while the CA refuses there is no certificate, and the job tries again by itself") {
  Fixture f;
  f.services.ca->always(ScriptedBackend::Step::refuse);
  f.settle();
  CHECK(f.changes.empty());
  CHECK_FALSE(f.job->load());
  const std::size_t asked = f.services.ca->prepared();
  CHECK(asked == 1);
  f.settle(30);
  CHECK(f.services.ca->prepared() == asked);  // not over and over
  f.services.ca->always(ScriptedBackend::Step::issue);
  f.services.advance(OwnCertificateJob::kAfterFailure);
  f.settle();
  CHECK(f.changes.size() == 1);
}

TEST_CASE("what the CA rejects outright leaves no order, and its key goes when there is another") {
  Fixture f;
  f.services.ca->on_prepare([] { reject(ProblemType::serverInternal, "not now"); });
  f.settle();
  CHECK(f.changes.empty());
  CHECK(f.key_files().size() >= 1);
  f.services.ca->on_prepare(nullptr);
  f.services.advance(hours(1));
  f.settle();
  REQUIRE(f.changes.size() == 1);
  CHECK(f.key_files().size() == 1);
}

TEST_CASE("the server's own certificate has its names, its key and no account") {
  Fixture f;
  f.settle();
  REQUIRE(f.changes.size() == 1);
  const TlsIdentity& identity = f.changes.front();
  const crypto::Certificate leaf = leaf_of(identity);
  CHECK(leaf.dns_names == std::vector<std::string>{"acme.test"});
  CHECK(leaf.ip_addresses == std::vector<std::string>{"192.0.2.1"});
  CHECK(crypto::load_signer(identity.key_pem, Secret())->public_key() == leaf.spki);
  CHECK(crypto::parse_pem_chain(identity.chain_pem).value().size() == 2);

  REQUIRE(f.issued().size() == 1);
  const CertificateRecord record = f.issued().front();
  CHECK_FALSE(record.account);
  const auto order =
      f.services.store->read([&](store::Tx& tx) { return tx.orders().get(record.order).value(); });
  CHECK_FALSE(order.account);
  CHECK(order.authorizations.empty());
  CHECK(order.certificate == record.id);

  CHECK(f.key_files() == std::vector<std::string>{record.spki_sha256 + ".key"});
  CHECK(mode_of(f.keys + "/" + record.spki_sha256 + ".key") == 0600);
  CHECK(mode_of(f.keys) == 0700);
}

TEST_CASE("the key is in its file before anything is signed") {
  Fixture f;
  std::size_t files = 0;
  f.services.ca->on_call([&](const ScriptedBackend::Call&) { files = f.key_files().size(); });
  f.settle();
  CHECK(files == 1);
}

TEST_CASE("a restart takes the identity up again and orders nothing") {
  Fixture f;
  f.settle();
  REQUIRE(f.changes.size() == 1);
  f.start({"acme.test"});
  const auto loaded = f.job->load();
  REQUIRE(loaded);
  CHECK(loaded->chain_pem == f.changes.front().chain_pem);
  CHECK(f.changes.size() == 2);  // the new process is told, once
  f.settle();
  CHECK(f.changes.size() == 2);
  CHECK(f.issued().size() == 1);
}

TEST_CASE("a restart in the middle of the issuance waits for the order that there is") {
  Fixture f;
  f.services.ca->always(ScriptedBackend::Step::pend);
  f.settle();
  f.start({"acme.test"});
  f.settle();
  CHECK(f.services.ca->prepared() == 1);
  f.services.ca->always(ScriptedBackend::Step::issue);
  f.services.advance(seconds(60));
  f.settle();
  CHECK(f.issued().size() == 1);
  CHECK(f.changes.size() == 1);
}

TEST_CASE("the certificate is renewed with a new key when a third of its validity is left") {
  Fixture f;
  f.settle();
  const CertificateRecord first = f.issued().front();
  const Instant two_thirds = first.not_after - (first.not_after - first.not_before) / 3;
  f.services.advance(two_thirds - f.services.store.clock.now() - seconds(30));
  f.settle();
  CHECK(f.issued().size() == 1);
  f.services.advance(hours(1));
  f.settle();
  REQUIRE(f.issued().size() == 2);
  REQUIRE(f.changes.size() == 2);
  const CertificateRecord second = f.issued().front();
  CHECK(second.spki_sha256 != first.spki_sha256);
  CHECK(leaf_of(f.changes.back()).serial == second.serial);
  f.services.advance(OwnCertificateJob::kLookAgain);
  f.settle();
  CHECK(f.key_files() == std::vector<std::string>{second.spki_sha256 + ".key"});
}

TEST_CASE("a validity hardly longer than the backdate does not renew over and over") {
  Fixture f;
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").validity = std::chrono::minutes(70);
  f.services.use(directory);
  f.settle(20);
  CHECK(f.issued().size() == 1);
}

TEST_CASE("other names in the config make another certificate") {
  Fixture f;
  f.settle();
  f.start({"acme.test", "pki.test"});
  CHECK_FALSE(f.job->load());
  f.settle();
  REQUIRE(f.changes.size() == 2);
  CHECK(leaf_of(f.changes.back()).dns_names == std::vector<std::string>{"acme.test", "pki.test"});
}

TEST_CASE("a revoked certificate of our own is replaced at once") {
  Fixture f;
  f.settle();
  const CertificateRecord first = f.issued().front();
  service::Revocation(f.services.context()).by_operator(first.id, 1, OperatorByUid{0});
  CHECK_FALSE(f.job->load());
  f.settle();
  REQUIRE(f.changes.size() == 2);
  CHECK(leaf_of(f.changes.back()).spki != leaf_of(f.changes.front()).spki);
}

TEST_CASE("a certificate whose key file is gone is replaced") {
  Fixture f;
  f.settle();
  fs::remove(f.keys + "/" + f.key_files().front());
  CHECK_FALSE(f.job->load());
  f.services.advance(OwnCertificateJob::kLookAgain);
  f.settle();
  CHECK(f.changes.size() == 2);
}

TEST_CASE("a key file that others can read, or that holds another key, is not used") {
  Fixture f;
  f.settle();
  const std::string path = f.keys + "/" + f.key_files().front();
  fs::permissions(path, fs::perms::group_read, fs::perm_options::add);
  CHECK_THROWS_WITH_AS(f.job->load(), doctest::Contains("chmod 600"), std::runtime_error);
  write_file(path, crypto::generate_private_key(crypto::NewKey::p256).reveal(),
             FileAccess::owner_only, ExistingFile::replace);
  CHECK_THROWS_WITH_AS(f.job->load(), doctest::Contains("another key"), std::runtime_error);
}

TEST_CASE("files that are not ours stay in the key folder") {
  Fixture f;
  f.settle();
  write_file(f.keys + "/README", "mine", FileAccess::owner_only, ExistingFile::refuse);
  const std::string superseded = f.keys + "/" + std::string(64, 'a') + ".key";
  write_file(superseded, "old", FileAccess::owner_only, ExistingFile::refuse);
  f.services.advance(OwnCertificateJob::kLookAgain);
  f.settle();
  CHECK(fs::exists(f.keys + "/README"));
  CHECK_FALSE(fs::exists(superseded));
  CHECK(f.key_files().size() == 2);
}

}  // namespace gatehouse
