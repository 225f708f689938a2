// The local CA under a company's root: name constraints, alternates, chains that end early.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/crypto/path.h"
#include "ca-backends/backend.h"
#include "tests/support/company_ca.h"
#include "tests/support/local_ca_files.h"

namespace gatehouse::backends {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::seconds;

// As long as CompanyCa's certificates, which begin when they are made, are valid.
Instant now_and_then() {
  return std::chrono::time_point_cast<seconds>(std::chrono::system_clock::now()) + hours(1);
}

IssueRequest request_for(std::vector<Identifier> identifiers, Instant now) {
  IssueRequest request{
      .order = OrderId("order"),
      .identifiers = std::move(identifiers),
      .csr_der = {},
      .spki = crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret())
                  ->public_key(),
      .profile = {},
      .not_before = std::nullopt,
      .not_after = std::nullopt,
      .now = now};
  request.profile.name = "default";
  return request;
}

std::vector<crypto::Certificate> issue(Backend& backend, const IssueRequest& request) {
  const Intent intent = backend.certificates->prepare(request);
  const auto issued =
      std::get<Issued>(backend.certificates->submit(intent, Deadline::in(seconds(5))));
  return crypto::parse_pem_chain(issued.chain_pem).value();
}

std::string rejection_of(Backend& backend, const IssueRequest& request) {
  try {
    backend.certificates->prepare(request);
  } catch (const RequestRejected& rejected) {
    CHECK(rejected.problem().type == ProblemType::rejectedIdentifier);
    return rejected.problem().detail;
  }
  return "";
}

// A backend whose issuing CA the company has constrained.
struct Constrained {
  explicit Constrained(const std::string& constraints, const std::string& at_root = "")
      : company("Company Root", at_root), clock(now_and_then()), files(clock) {
    REQUIRE(openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", "/O=Company/CN=Issuing", "-keyout", company.path("issuer.key"),
                     "-out", company.path("issuer.csr")}) == 0);
    company.sign(company.path("issuer.csr"), "issuer", CompanyCa::kIntermediate + constraints);
    files.files["issuer.pem"] = read_file(company.path("issuer.pem"));
    files.files["issuer.key"] = read_file(company.path("issuer.key"));
    files.files["root.pem"] = read_file(company.root());
  }

  CompanyCa company;
  ManualClock clock;
  LocalCaFiles files;
};

TEST_CASE("what a constrained issuer may not certify is refused; what it may, OpenSSL accepts") {
  Constrained at(
      "nameConstraints=critical,permitted;DNS:corp.test,excluded;DNS:secret.corp.test,"
      "permitted;IP:10.0.0.0/255.0.0.0\n");
  Backend backend = at.files.backend();
  const Instant now = at.clock.now();
  const crypto::Certificate root = crypto::parse_pem_chain(at.files.files["root.pem"])->front();

  struct Row {
    Identifier identifier;
    bool good;
  };

  const Row rows[] = {{{IdentifierType::dns, "www.corp.test"}, true},
                      {{IdentifierType::dns, "corp.test"}, true},
                      {{IdentifierType::dns, "*.www.corp.test"}, true},
                      {{IdentifierType::ip, "10.1.2.3"}, true},
                      {{IdentifierType::dns, "other.test"}, false},
                      {{IdentifierType::dns, "a.secret.corp.test"}, false},
                      {{IdentifierType::dns, "*.corp.test"}, false},
                      {{IdentifierType::ip, "192.0.2.1"}, false},
                      {{IdentifierType::ip, "2001:db8::1"}, false}};
  for (const Row& row : rows) {
    CAPTURE(row.identifier.value);
    const IssueRequest request = request_for({row.identifier}, now);
    CHECK(backend.certificates->why_never(row.identifier).has_value() != row.good);
    if (row.good) {
      const auto chain = issue(backend, request);
      CHECK(crypto::why_openssl_refuses(chain, root, now) == std::nullopt);
    } else {
      CHECK(rejection_of(backend, request).find(row.identifier.value) != std::string::npos);
    }
  }
}

TEST_CASE("a root's constraints hold below it, too") {
  Constrained at("", "nameConstraints=critical,excluded;DNS:corp.test\n");
  Backend backend = at.files.backend();
  const Identifier name{IdentifierType::dns, "www.corp.test"};
  CHECK(rejection_of(backend, request_for({name}, at.clock.now())).find("excludes") !=
        std::string::npos);
}

TEST_CASE("where subjects are constrained the leaf's is left empty") {
  Constrained at("nameConstraints=critical,permitted;dirName:who\n[who]\nO=Company\n");
  Backend backend = at.files.backend();
  IssueRequest request = request_for({{IdentifierType::dns, "www.corp.test"}}, at.clock.now());
  request.profile.common_name = true;
  const auto chain = issue(backend, request);
  CHECK(chain.front().common_names.empty());
  CHECK(crypto::why_openssl_refuses(chain,
                                    crypto::parse_pem_chain(at.files.files["root.pem"])->front(),
                                    at.clock.now()) == std::nullopt);
}

TEST_CASE("an issuer that OpenSSL does not accept stops the start") {
  // A critical extension that nobody knows.
  Constrained at("1.2.3.4=critical,ASN1:NULL\n");
  CHECK_THROWS_WITH(at.files.backend(),
                    doctest::Contains("issuer.pem: this is no issuing CA under the root"));
  CHECK_THROWS_WITH(at.files.backend(), doctest::Contains("unhandled critical extension"));
}

TEST_CASE("no leaf outlives a CA above its issuer") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile middle = ca.make("Middle", &ca.root, [&](auto& certificate) {
    certificate.not_after = clock.now() + hours(24 * 60);
  });
  ca.issuer = ca.certify(ca.issuer, "Test Issuing CA", &middle);
  ca.files["issuer.pem"] = ca.issuer.pem + middle.pem;
  Backend backend = ca.backend();
  const auto chain =
      issue(backend, request_for({{IdentifierType::dns, "www.corp.test"}}, clock.now()));
  CHECK(chain.front().not_after == middle.certificate.not_after);
}

TEST_CASE("a previous issuer whose CA has ended before it does not keep the server from starting") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile middle = ca.make("Middle", &ca.root, [&](auto& certificate) {
    certificate.not_after = clock.now() - hours(1);
  });
  const CaFile old = ca.make("Old CA", &middle);
  ca.files["old.pem"] = old.pem + middle.pem;
  ca.files["old.key"] = old.key_pem;
  Backend backend = ca.backend({{"previous", {{{"certificate", "old.pem"}, {"key", "old.key"}}}}});
  CHECK(backend.certificates->issuers()->shards.size() == 2);
}

TEST_CASE("an alternate chain is served where it fits the leaf, and while it lasts") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile other = ca.make("Other Root", nullptr);
  const CaFile middle = ca.make("Other Middle", &other);
  const CaFile crossed = ca.certify(ca.issuer, "Test Issuing CA", &middle, [&](auto& certificate) {
    certificate.permitted_dns = {"corp.test"};
    certificate.not_after = clock.now() + hours(24 * 30);
  });
  ca.files["alternate.pem"] = crossed.pem + middle.pem + other.pem;
  const Json options = {{"alternates", {"alternate.pem"}}};
  const auto alternates = [&](const std::string& name) {
    Backend backend = ca.backend(options);
    const Intent intent =
        backend.certificates->prepare(request_for({{IdentifierType::dns, name}}, clock.now()));
    return std::get<Issued>(backend.certificates->submit(intent, Deadline::in(seconds(5))))
        .alternate_chains_pem;
  };
  const auto fitting = alternates("www.corp.test");
  REQUIRE(fitting.size() == 1);
  const auto chain = crypto::parse_pem_chain(fitting.front()).value();
  CHECK(chain.size() == 3);
  CHECK(crypto::why_openssl_refuses(chain, other.certificate, clock.now()) == std::nullopt);
  CHECK(alternates("other.test").empty());
  clock.set(clock.now() + hours(24 * 31));
  CHECK(alternates("www.corp.test").empty());
}

TEST_CASE("an alternate chain of a previous issuer stays with what it issued") {
  ManualClock clock;
  LocalCaFiles ca(clock);
  const CaFile other = ca.make("Other Root", nullptr);
  ca.files["alternate.pem"] = ca.certify(ca.issuer, "Test Issuing CA", &other).pem + other.pem;
  const IssueRequest request = request_for({{IdentifierType::dns, "www.corp.test"}}, clock.now());
  const Intent begun = ca.backend().certificates->prepare(request);

  ca.files["old.pem"] = ca.files["issuer.pem"];
  ca.files["old.key"] = ca.files["issuer.key"];
  const CaFile next = ca.make("Next Issuing CA", &ca.root);
  ca.files["issuer.pem"] = next.pem;
  ca.files["issuer.key"] = next.key_pem;
  Backend backend = ca.backend({{"alternates", {"alternate.pem"}},
                                {"previous", {{{"certificate", "old.pem"}, {"key", "old.key"}}}}});
  const auto count = [&](const Intent& intent) {
    return std::get<Issued>(backend.certificates->resume(intent, Deadline::in(seconds(5))))
        .alternate_chains_pem.size();
  };
  CHECK(count(begun) == 1);
  CHECK(count(backend.certificates->prepare(request)) == 0);
}

}  // namespace
}  // namespace gatehouse::backends
