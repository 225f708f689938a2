#include "ca-backends/local_ca/local_ca.h"

#include <doctest/doctest.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/files.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/openssl.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/recording_signer.h"

namespace gatehouse::backends {
namespace {

using crypto::Certificate;
using std::chrono::hours;
using std::chrono::seconds;
constexpr hours kDay{24};
using testing::CaFile;
using testing::kNoon;
using testing::LocalCaFiles;
using testing::ManualClock;

Bytes new_spki(crypto::NewKey kind = crypto::NewKey::p256) {
  return crypto::load_signer(crypto::generate_private_key(kind), Secret())->public_key();
}

IssueRequest request_for(const std::vector<Identifier>& identifiers) {
  return {.order = OrderId("order"),
          .identifiers = identifiers,
          .csr_der = {},
          .spki = new_spki(),
          .profile = {},
          .not_before = std::nullopt,
          .not_after = std::nullopt,
          .now = kNoon};
}

Issued submit(Backend& backend, const Intent& intent) {
  return std::get<Issued>(backend.certificates->submit(intent, Deadline::in(seconds(10))));
}

std::vector<Certificate> chain_in(const std::string& pem) {
  return crypto::parse_pem_chain(pem).value();
}

Certificate leaf_for(Backend& backend, const IssueRequest& request) {
  return chain_in(submit(backend, backend.certificates->prepare(request)).chain_pem).front();
}

Problem rejection_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const RequestRejected& rejected) {
    return rejected.problem();
  }
  return {.type = ProblemType::unspecified, .detail = "nothing was rejected"};
}

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing failed";
}

crypto::X509Handle x509_of(const Certificate& certificate) {
  const std::uint8_t* at = certificate.der.data();
  return crypto::X509Handle(d2i_X509(nullptr, &at, static_cast<long>(certificate.der.size())));
}

crypto::CrlHandle crl_of(const Bytes& der) {
  const std::uint8_t* at = der.data();
  return crypto::CrlHandle(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
}

// OpenSSL's judgement on a TLS server's chain at `now`, with the CRLs that a careful client would
// have; X509_V_OK or why not.
int verdict(const std::vector<Certificate>& chain, const Certificate& root,
            const std::vector<Bytes>& crls, const std::string& host, Instant now) {
  const std::unique_ptr<X509_STORE, crypto::FreeWith<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), x509_of(root).get());
  for (const Bytes& crl : crls) X509_STORE_add_crl(store.get(), crl_of(crl).get());
  X509_VERIFY_PARAM* parameters = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_time(parameters, to_unix(now));
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
  unsigned long flags = X509_V_FLAG_X509_STRICT;
  if (!crls.empty()) flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_EXTENDED_CRL_SUPPORT;
  X509_VERIFY_PARAM_set_flags(parameters, flags);

  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> between(
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); });
  for (std::size_t i = 1; i < chain.size(); ++i) {
    sk_X509_push(between.get(), x509_of(chain[i]).release());
  }
  const crypto::X509Handle leaf = x509_of(chain.front());
  const std::unique_ptr<X509_STORE_CTX, crypto::FreeWith<X509_STORE_CTX_free>> context(
      X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), between.get());
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

const Identifier kName{IdentifierType::dns, "www.corp.test"};

// Signs something else than it was handed.
class LyingSigner final : public crypto::Signer {
 public:
  explicit LyingSigner(std::unique_ptr<crypto::Signer> signer) : signer_(std::move(signer)) {}

  Bytes public_key() const override { return signer_->public_key(); }

  Bytes algorithm() const override { return signer_->algorithm(); }

  Bytes sign(ByteView) override { return signer_->sign(as_bytes("something else")); }

 private:
  std::unique_ptr<crypto::Signer> signer_;
};

}  // namespace

TEST_CASE("prepare refuses a common name that is the CA's own") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  ca.issuer = ca.certify(ca.issuer, "ca.corp.test", &ca.root);
  ca.files["issuer.pem"] = ca.issuer.pem;
  Backend backend = ca.backend();
  IssueRequest request = request_for({{IdentifierType::dns, "ca.corp.test"}});
  CHECK_NOTHROW(backend.certificates->prepare(request));  // an empty subject is nobody's name
  request.profile.common_name = true;
  const Problem problem = rejection_of([&] { backend.certificates->prepare(request); });
  CHECK(problem.type == ProblemType::rejectedIdentifier);
}

TEST_CASE("prepare refuses a leaf that its issuer would leave less than the least validity") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  IssueRequest request = request_for({kName});
  request.now = ca.issuer.certificate.not_after - hours(1);
  CHECK_NOTHROW(backend.certificates->prepare(request));
  request.now += seconds(1);
  const Problem problem = rejection_of([&] { backend.certificates->prepare(request); });
  CHECK(problem.type == ProblemType::serverInternal);
  CHECK(problem.detail.find("Nothing can be issued: the root ") == 0);
}

TEST_CASE("an intent for an issuer that is not configured waits, and says what to configure") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  Intent intent = backend.certificates->prepare(request_for({kName}));
  intent.expected.issuer = Exact<IssuerId>{IssuerId("another")};
  CHECK(failure_of([&] { submit(backend, intent); }).find("backends.local.previous") !=
        std::string::npos);
}

TEST_CASE("what the key signs is verified before anyone sees it") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  BackendContext context = ca.context();
  context.decorate_signer = [](auto signer) {
    return std::make_unique<LyingSigner>(std::move(signer));
  };
  LocalCaOptions options;
  options.issuer = {.certificate = "issuer.pem", .key = "issuer.key", .passphrase = ""};
  options.root = "root.pem";
  LocalCa lying("local", options, context);
  const Intent intent = lying.prepare(request_for({kName}));
  CHECK(failure_of([&] { lying.submit(intent, Deadline::in(seconds(1))); }).find("check the key") !=
        std::string::npos);
  CHECK(failure_of([&] {
          lying.sign_crl(lying.issuers()->shards.front(), 1, kNoon, kNoon + kDay,
                         crypto::CrlBuilder());
        }).find("does not verify") != std::string::npos);
}

TEST_CASE("OpenSSL accepts the chain for the name, with its CRL, until its end") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  const Intent intent = backend.certificates->prepare(request_for(
      {kName, {IdentifierType::dns, "*.dev.corp.test"}, {IdentifierType::ip, "2001:db8::1"}}));
  const std::vector<Certificate> chain = chain_in(submit(backend, intent).chain_pem);
  REQUIRE(chain.size() == 2);  // the root is the client's own
  const CrlShard shard = backend.certificates->issuers()->shards.front();
  const auto crl_with = [&](const std::vector<crypto::CrlEntry>& entries, std::int64_t number) {
    crypto::CrlBuilder builder;
    for (const auto& entry : entries) builder.add(entry);
    return backend.crls->sign_crl(shard, number, kNoon, kNoon + 365 * kDay, builder);
  };
  const Bytes empty = crl_with({}, 1);
  const Bytes other = crl_with({{.serial = "01", .revoked_at = kNoon, .reason = 0}}, 2);
  const Bytes revoking =
      crl_with({{.serial = serial_of(intent.expected), .revoked_at = kNoon, .reason = 4}}, 3);
  const auto at = [&](Instant now, const std::string& host, const std::vector<Bytes>& crls) {
    return verdict(chain, ca.root.certificate, crls, host, now);
  };
  CHECK(at(kNoon, "www.corp.test", {}) == X509_V_OK);
  CHECK(at(kNoon, "www.corp.test", {empty}) == X509_V_OK);
  CHECK(at(kNoon, "a.dev.corp.test", {other}) == X509_V_OK);
  CHECK(at(earliest_begin_of(intent.expected), "www.corp.test", {}) == X509_V_OK);
  // RFC 5280 takes the last second in; OpenSSL is a second stricter.
  CHECK(at(latest_end_of(intent.expected) - seconds(1), "www.corp.test", {}) == X509_V_OK);
  CHECK(at(kNoon, "mail.corp.test", {}) == X509_V_ERR_HOSTNAME_MISMATCH);
  CHECK(at(earliest_begin_of(intent.expected) - seconds(1), "www.corp.test", {}) ==
        X509_V_ERR_CERT_NOT_YET_VALID);
  CHECK(at(latest_end_of(intent.expected) + seconds(1), "www.corp.test", {}) ==
        X509_V_ERR_CERT_HAS_EXPIRED);
  CHECK(at(kNoon, "www.corp.test", {revoking}) == X509_V_ERR_CERT_REVOKED);
}

TEST_CASE("a leaf says what its order, profile and issuer say, and nothing else") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  IssueRequest request =
      request_for({kName, {IdentifierType::ip, "192.0.2.7"}, {IdentifierType::dns, "*.corp.test"}});
  const Intent intent = backend.certificates->prepare(request);
  const Certificate leaf = chain_in(submit(backend, intent).chain_pem).front();
  const std::string issuer = backend.certificates->issuers()->all.front().id.str();

  CHECK(issuer == crypto::sha256_hex(ca.issuer.certificate.spki));
  CHECK(issuer_of(intent.expected).str() == issuer);
  CHECK(leaf.subject_name.empty());
  CHECK(leaf.dns_names == std::vector<std::string>{"www.corp.test", "*.corp.test"});
  CHECK(leaf.ip_addresses == std::vector<std::string>{"192.0.2.7"});
  CHECK(leaf.spki == request.spki);
  CHECK_FALSE(leaf.is_ca);
  CHECK(leaf.key_usages == std::vector<std::string>{"digitalSignature"});
  CHECK(leaf.extended_key_usages == std::vector<std::string>{"1.3.6.1.5.5.7.3.1"});
  CHECK(leaf.issuer_name_der == ca.issuer.certificate.subject_name_der);
  CHECK(leaf.authority_key_id == ca.issuer.certificate.subject_key_id);
  CHECK(leaf.not_before == kNoon - hours(1));
  CHECK(leaf.not_after == kNoon - hours(1) + 90 * kDay - seconds(1));
  CHECK(leaf.not_after == latest_end_of(intent.expected));
  CHECK(leaf.serial == serial_of(intent.expected));
  CHECK(leaf.crl_urls == std::vector<std::string>{"http://pki.test/crl/" + issuer + "/0.crl"});
  CHECK(leaf.crl_urls.front() == crl_url_of(intent.expected));
  CHECK(leaf.issuer_urls == std::vector<std::string>{"http://pki.test/issuer/" + issuer + ".cer"});
}

TEST_CASE("keyEncipherment is for RSA keys alone") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  IssueRequest request = request_for({kName});
  request.profile.key_usages = {"digitalSignature", "keyEncipherment"};
  CHECK(leaf_for(backend, request).key_usages == std::vector<std::string>{"digitalSignature"});
  request.spki = new_spki(crypto::NewKey::rsa2048);
  CHECK(leaf_for(backend, request).key_usages ==
        std::vector<std::string>{"digitalSignature", "keyEncipherment"});
}

TEST_CASE("the common name is the first DNS name that fits, or none") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  const Identifier too_long{IdentifierType::dns, std::string(60, 'a') + ".corp.test"};
  IssueRequest request = request_for({{IdentifierType::ip, "192.0.2.7"}, too_long, kName});
  CHECK(leaf_for(backend, request).common_names.empty());
  request.profile.common_name = true;
  CHECK(leaf_for(backend, request).common_names == std::vector<std::string>{"www.corp.test"});
  request.identifiers = {too_long};
  CHECK(leaf_for(backend, request).common_names.empty());
}

TEST_CASE("resume signs the stored TBS again and nothing else: the same serial, dates and key") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const std::string record = "/tmp/gatehouse-recording-signer-" + std::to_string(::getpid());
  BackendContext context = ca.context();
  context.decorate_signer = [&](auto signer) {
    return std::make_unique<testing::RecordingSigner>(std::move(signer), record);
  };
  LocalCaOptions options;
  options.issuer = {.certificate = "issuer.pem", .key = "issuer.key", .passphrase = ""};
  options.root = "root.pem";
  LocalCa first("local", options, context);
  REQUIRE(first.repeatable());
  const Intent intent = first.prepare(request_for({kName}));
  CHECK(std::filesystem::file_size(record) == 0);  // preparing asks nobody, the key least of all
  const auto issued = std::get<Issued>(first.submit(intent, Deadline::in(seconds(1))));

  clock.advance(hours(5));  // another process, later
  LocalCa second("local", options, context);
  const auto again = std::get<Issued>(second.resume(intent, Deadline::in(seconds(1))));
  const Certificate a = chain_in(issued.chain_pem).front();
  const Certificate b = chain_in(again.chain_pem).front();
  CHECK(a.tbs == b.tbs);
  CHECK(base64url_encode(a.tbs) == intent.request);
  const std::string line = crypto::sha256_hex(a.tbs) + "\n";
  CHECK(read_file(record) == line + line);
  std::filesystem::remove(record);
}

TEST_CASE("serials differ, are positive and 18 octets long") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend();
  const IssueRequest request = request_for({kName});
  std::set<std::string> serials;
  for (int i = 0; i < 500; ++i) {
    const std::string serial = serial_of(backend.certificates->prepare(request).expected);
    CHECK(serial.size() == 36);
    CHECK(serial.front() < '8');
    CHECK(serial.substr(0, 2) != "00");
    serials.insert(serial);
  }
  CHECK(serials.size() == 500);
}

TEST_CASE(
    "serials choose among the CRL shards, and each CRL names the shard that certificates do") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend backend = ca.backend({{"crl_shards", 4}});
  std::set<std::string> expected;
  const IssuersSnapshot issuers = backend.certificates->issuers();
  for (const CrlShard& shard : issuers->shards) {
    CHECK(shard.url == "http://pki.test" + shard.file);
    expected.insert(shard.url);
    const Bytes der = backend.crls->sign_crl(shard, 7, kNoon, kNoon + kDay, crypto::CrlBuilder());
    CHECK(crypto::parse_crl(der)->head.distribution_point == shard.url);
    CHECK(crypto::crl_is_signed_by(der, ca.issuer.certificate));
  }
  REQUIRE(expected.size() == 4);
  std::set<std::string> used;
  for (int i = 0; i < 100; ++i) {
    used.insert(crl_url_of(backend.certificates->prepare(request_for({kName})).expected));
  }
  CHECK(used == expected);
}

TEST_CASE("a previous issuer signs its CRLs after its end, too") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile ended = ca.make("Ended CA", &ca.root,
                               [](auto& certificate) { certificate.not_after = kNoon - hours(1); });
  ca.files["old.pem"] = ended.pem;
  ca.files["old.key"] = ended.key_pem;
  Backend backend = ca.backend({{"previous", {{{"certificate", "old.pem"}, {"key", "old.key"}}}}});
  const auto shards = backend.certificates->issuers()->shards;
  REQUIRE(shards.size() == 2);
  const Bytes crl =
      backend.crls->sign_crl(shards.back(), 1, kNoon, kNoon + kDay, crypto::CrlBuilder());
  CHECK(crypto::crl_is_signed_by(crl, ended.certificate));
}

TEST_CASE("a previous issuer finishes what it began") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  Backend before = ca.backend();
  const Intent intent = before.certificates->prepare(request_for({kName}));

  ca.files["old.pem"] = ca.files["issuer.pem"];
  ca.files["old.key"] = ca.files["issuer.key"];
  const CaFile old = ca.issuer;
  ca.issuer = ca.make("Next Issuing CA", &ca.root);
  ca.files["issuer.pem"] = ca.issuer.pem;
  ca.files["issuer.key"] = ca.issuer.key_pem;
  Backend now = ca.backend({{"previous", {{{"certificate", "old.pem"}, {"key", "old.key"}}}}});
  const auto issued = std::get<Issued>(now.certificates->resume(intent, Deadline::in(seconds(1))));
  const auto chain = chain_in(issued.chain_pem);
  CHECK(crypto::is_signed_by(chain.at(0), old.certificate));
  CHECK(chain.at(1).der == old.certificate.der);
  CHECK(now.certificates->prepare(request_for({kName})).expected.issuer != intent.expected.issuer);
}

TEST_CASE("alternate chains lead from the same leaf to another root") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile other = ca.make("Other Root", nullptr);
  const CaFile crossed = ca.certify(ca.issuer, "Test Issuing CA", &other);
  ca.files["with_root.pem"] = crossed.pem + other.pem;
  ca.files["without_root.pem"] = crossed.pem;
  Backend backend = ca.backend({{"alternates", {"with_root.pem", "without_root.pem"}}});
  const Issued issued = submit(backend, backend.certificates->prepare(request_for({kName})));
  REQUIRE(issued.alternate_chains_pem.size() == 2);
  for (const std::string& pem : issued.alternate_chains_pem) {
    const auto chain = chain_in(pem);
    CHECK(chain.size() == 2);
    CHECK(chain.front() == chain_in(issued.chain_pem).front());
    CHECK(verdict(chain, other.certificate, {}, "www.corp.test", kNoon) == X509_V_OK);
  }
}

TEST_CASE("a new root CRL is seen without a restart; a broken or older one is not") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  ca.issuer = ca.certify(ca.issuer, "Test Issuing CA", &ca.root, [](auto& certificate) {
    certificate.crl_url = "http://pki.test/crl/corp-root.crl";
  });
  ca.files["issuer.pem"] = ca.issuer.pem;
  ca.files["root.crl"] = ca.root_crl(5, ca.root);
  Backend backend = ca.backend({{"root_crl", "root.crl"}});
  const auto number = [&] {
    const auto crls = backend.crls->offline_crls();
    REQUIRE(crls.size() == 1);
    CHECK(crls.front().file == "/crl/corp-root.crl");  // where the issuer's certificate says
    return crypto::parse_crl(crls.front().der)->head.number;
  };
  CHECK(number() == 5);
  ca.files["root.crl"] = ca.root_crl(6, ca.root);
  CHECK(number() == 6);
  ca.files["root.crl"] = "half a CRL";
  CHECK(number() == 6);
  ca.files["root.crl"] = ca.root_crl(4, ca.root);
  CHECK(number() == 6);
  ca.files["root.crl"] = ca.root_crl(9, ca.issuer);
  CHECK(number() == 6);
}

}  // namespace gatehouse::backends
