// What the local CA says of certificates before it signs any.
#include "ca-backends/local_ca/rehearsal.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/core/problem.h"
#include "ca-backends/backend.h"
#include "tests/support/local_ca_files.h"

namespace gatehouse::backends {
namespace {

using namespace testing;
using std::chrono::hours;

constexpr const char* kServerAuth = "serverAuth";
constexpr const char* kClientAuth = "clientAuth";
constexpr const char* kAnyUsage = "2.5.29.37.0";

IssueRequest request_at(Instant now, std::vector<std::string> usages = {kServerAuth}) {
  IssueRequest request{
      .order = OrderId("order"),
      .identifiers = {},
      .csr_der = {},
      .spki = crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret())
                  ->public_key(),
      .profile = {},
      .not_before = std::nullopt,
      .not_after = std::nullopt,
      .now = now};
  request.profile.extended_key_usages = std::move(usages);
  return request;
}

struct Fixture {
  using Change = LocalCaFiles::Change;

  void issuer(const Change& change, const std::string& name = "Test Issuing CA") {
    ca.issuer = ca.certify(ca.issuer, name, &ca.root, change);
    ca.files["issuer.pem"] = ca.issuer.pem;
  }

  void middle(const Change& change) {
    const CaFile between = ca.make("Middle", &ca.root, change);
    ca.issuer = ca.certify(ca.issuer, "Test Issuing CA", &between);
    ca.files["issuer.pem"] = ca.issuer.pem + between.pem;
  }

  std::string why(const IssueRequest& request, const Json& options = Json::object()) {
    Backend backend = ca.backend(options);
    return backend.certificates->why_not_accepted(request).value_or("accepted");
  }

  ManualClock clock;
  LocalCaFiles ca{clock};
};

TEST_CASE("a CA whose leaves every verifier would refuse says so, and which CA is to be mended") {
  struct Row {
    std::string what;
    std::function<void(Fixture&)> make;
    std::vector<std::string> usages;
    std::string says;
  };

  const auto limited_to = [](const std::string& usage) {
    return [usage](crypto::CertificateTemplate& ca) { ca.extended_key_usages = {usage}; };
  };
  const Row rows[] = {
      {"nothing said", [](Fixture&) {}, {kServerAuth, kClientAuth}, "accepted"},
      {"the usage itself",
       [&](Fixture& f) { f.issuer(limited_to(kServerAuth)); },
       {kServerAuth},
       "accepted"},
      {"another usage of the issuer",
       [&](Fixture& f) { f.issuer(limited_to(kClientAuth)); },
       {kServerAuth},
       "\"CN=Test Issuing CA\" may certify for clientAuth alone (its extendedKeyUsage), and the "
       "certificate is for serverAuth"},
      {"one of two usages",
       [&](Fixture& f) { f.issuer(limited_to(kServerAuth)); },
       {kServerAuth, kClientAuth},
       "the certificate is for clientAuth"},
      {"another usage in the middle",
       [&](Fixture& f) { f.middle(limited_to(kClientAuth)); },
       {kServerAuth},
       "\"CN=Middle\" may certify for clientAuth alone"},
      {"another usage of the root",
       [&](Fixture& f) {
         f.ca.root = f.ca.certify(f.ca.root, "Test Root", nullptr, limited_to(kClientAuth));
         f.ca.files["root.pem"] = f.ca.root.pem;
         f.issuer({});
       },
       {kServerAuth},
       "\"CN=Test Root\" may certify for clientAuth alone"},
      {"any usage, which OpenSSL does not take for serverAuth",
       [&](Fixture& f) { f.issuer(limited_to(kAnyUsage)); },
       {kServerAuth},
       "may certify for anyExtendedKeyUsage alone"},
      {"any usage, for one that OpenSSL does not know",
       [&](Fixture& f) { f.issuer(limited_to(kAnyUsage)); },
       {"1.2.3.4"},
       "accepted"},
      {"another usage, for one that OpenSSL does not know",
       [&](Fixture& f) { f.issuer(limited_to(kServerAuth)); },
       {"1.2.3.4"},
       "the certificate is for 1.2.3.4"},
      {"an empty subject",
       [](Fixture& f) { f.issuer({}, ""); },
       {kServerAuth},
       "has an empty subject"},
      {"a constraint that is no name",
       [](Fixture& f) { f.issuer([](auto& ca) { ca.permitted_dns = {"*.corp.test"}; }); },
       {kServerAuth},
       "no name can be ordered under \"CN=Test Issuing CA\""},
      {"a constraint with a dot at the end",
       [](Fixture& f) { f.issuer([](auto& ca) { ca.permitted_dns = {"corp.test."}; }); },
       {kServerAuth},
       "no name can be ordered"},
      {"a constraint to a domain",
       [](Fixture& f) { f.issuer([](auto& ca) { ca.permitted_dns = {"corp.test"}; }); },
       {kServerAuth},
       "accepted"},
      {"a constraint to what is below a domain",
       [](Fixture& f) { f.issuer([](auto& ca) { ca.permitted_dns = {".corp.test"}; }); },
       {kServerAuth},
       "accepted"},
      {"a constraint to addresses",
       [](Fixture& f) { f.issuer([](auto& ca) { ca.permitted_ip = {"10.0.0.0/8"}; }); },
       {kServerAuth},
       "accepted"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Fixture f;
    row.make(f);
    const std::string why = f.why(request_at(f.clock.now(), row.usages));
    CHECK_MESSAGE(why.find(row.says) != std::string::npos, why);
  }
}

TEST_CASE("names that are given are tried, and rejected as in an order") {
  Fixture f;
  f.issuer([](auto& ca) { ca.permitted_dns = {"corp.test"}; });
  IssueRequest request = request_at(f.clock.now());
  request.identifiers = {{IdentifierType::dns, "acme.corp.test"}};
  CHECK(f.why(request) == "accepted");
  request.identifiers = {{IdentifierType::dns, "acme.other.test"}};
  CHECK_THROWS_AS(f.why(request), RequestRejected);
}

// A key that must not be used.
class Untouched final : public crypto::Signer {
 public:
  explicit Untouched(std::unique_ptr<crypto::Signer> signer) : signer_(std::move(signer)) {}

  Bytes public_key() const override { return signer_->public_key(); }

  Bytes algorithm() const override { return signer_->algorithm(); }

  Bytes sign(ByteView /*message*/) override { throw std::logic_error("the key was asked"); }

 private:
  std::unique_ptr<crypto::Signer> signer_;
};

TEST_CASE("nothing is signed to try it out") {
  Fixture f;
  BackendContext context = f.ca.context();
  context.decorate_signer = [](auto signer) -> std::unique_ptr<crypto::Signer> {
    return std::make_unique<Untouched>(std::move(signer));
  };
  const Json options = {{"type", "local"},
                        {"certificate", "issuer.pem"},
                        {"key", "issuer.key"},
                        {"root", "root.pem"}};
  Backend backend = make_backend("local", JsonObject(options, "backends.local"), context);
  const IssueRequest request = request_at(f.clock.now());
  CHECK(backend.certificates->why_not_accepted(request) == std::nullopt);
  IssueRequest named = request;
  named.identifiers = {{IdentifierType::dns, "www.test"}};
  const Intent intent = backend.certificates->prepare(named);
  CHECK_THROWS_WITH(backend.certificates->submit(intent, Deadline::in(std::chrono::seconds(5))),
                    "the key was asked");
}

TEST_CASE("an alternate chain that no leaf could be verified by is told") {
  Fixture f;
  const CaFile other = f.ca.make("Other Root", nullptr);
  f.ca.files["alternate.pem"] =
      f.ca.certify(f.ca.issuer, "Test Issuing CA", &other,
                   [](auto& ca) { ca.extended_key_usages = {"clientAuth"}; })
          .pem;
  CHECK(f.why(request_at(f.clock.now()), {{"alternates", {"alternate.pem"}}})
            .starts_with("of an alternate chain: \"CN=Test Issuing CA\" may certify for"));
}

}  // namespace
}  // namespace gatehouse::backends
