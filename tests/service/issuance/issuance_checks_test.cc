#include "acme-server/service/issuance/issuance_checks.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/crypto/issue.h"
#include "acme-server/service/issuance/intent.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using testing::ScriptedBackend;
using testing::TestKey;

// An order, its intent and a CA that will sign anything for it.
struct Case {
  Case() {
    order.id = OrderId("o1");
    order.identifiers = {{IdentifierType::dns, "*.a.test"},
                         {IdentifierType::dns, "a.test"},
                         {IdentifierType::ip, "192.0.2.1"}};
    const backends::Intent made = ca.prepare({.order = order.id,
                                              .identifiers = order.identifiers,
                                              .csr_der = {},
                                              .spki = key.spki,
                                              .profile = profile,
                                              .not_before = {},
                                              .not_after = {},
                                              .now = testing::kNoon});
    expected = made.expected;
    leaf = ca.template_of(made.request);
  }

  std::optional<std::string> why(const backends::Issued& issued) const {
    return why(issued, {&ca.issuer()});
  }

  std::optional<std::string> why(const backends::Issued& issued,
                                 const std::vector<const backends::Issuer*>& issuers) const {
    crypto::ChainChecker chains;
    const auto checked = service::check_issued(issued, expected, issuers, testing::kNoon, chains);
    return checked ? std::nullopt : std::optional(checked.error());
  }

  // What is wrong with the leaf as `change` makes it.
  std::optional<std::string> why_changed(
      const std::function<void(crypto::CertificateTemplate&)>& change) const {
    crypto::CertificateTemplate changed = leaf;
    change(changed);
    return why({.chain_pem = ca.chain_of(changed), .alternate_chains_pem = {}});
  }

  testing::SeededEntropy entropy;
  ScriptedBackend ca{entropy};
  TestKey key;
  Profile profile;
  Order order;
  backends::CertificateExpectation expected;
  crypto::CertificateTemplate leaf;
};

TEST_CASE("the certificate that the intent describes passes") {
  const Case good;
  CHECK(good.why({.chain_pem = good.ca.chain_of(good.leaf), .alternate_chains_pem = {}}) ==
        std::nullopt);
}

TEST_CASE("each field that differs from the intent is named") {
  using Template = crypto::CertificateTemplate;

  struct Row {
    std::string name;
    std::function<void(Template&)> tamper;
    std::string why;
  };

  const TestKey other;
  const Row rows[] = {
      {"serial", [](Template& t) { t.serial.back() ^= 1; }, "serial"},
      {"notBefore a second early", [](Template& t) { t.not_before -= std::chrono::seconds(1); },
       "notBefore"},
      {"notAfter a second late", [](Template& t) { t.not_after += std::chrono::seconds(1); },
       "notAfter"},
      {"another key", [&](Template& t) { t.spki = other.spki; }, "key"},
      {"an extra name", [](Template& t) { t.dns_names.emplace_back("b.test"); }, "names"},
      {"a missing name", [](Template& t) { t.dns_names.pop_back(); }, "names"},
      {"a missing address", [](Template& t) { t.ip_addresses.clear(); }, "names"},
      {"another address", [](Template& t) { t.ip_addresses = {"192.0.2.2"}; }, "names"},
      {"a name twice", [](Template& t) { t.dns_names.push_back(t.dns_names.back()); }, "twice"},
      {"a common name that was not ordered", [](Template& t) { t.common_name = "b.test"; },
       "common name"},
      {"a CA", [](Template& t) { t.is_ca = true; }, "CA"},
      {"keyCertSign", [](Template& t) { t.key_usages.emplace_back("keyCertSign"); }, "CA"},
      {"cRLSign", [](Template& t) { t.key_usages.emplace_back("cRLSign"); }, "CA"},
      {"no CRL", [](Template& t) { t.crl_url.clear(); }, "CRL"},
      {"another CRL", [](Template& t) { t.crl_url = "http://elsewhere.test/x.crl"; }, "CRL"},
      {"a missing key usage", [](Template& t) { t.key_usages.clear(); }, "key usages"},
      {"an extra key usage", [](Template& t) { t.key_usages.emplace_back("keyAgreement"); },
       "key usages"},
      {"no extended key usage", [](Template& t) { t.extended_key_usages.clear(); },
       "extended key usages"},
      {"an extra extended key usage",
       [](Template& t) { t.extended_key_usages.emplace_back("clientAuth"); },
       "extended key usages"},
      {"another authority key identifier", [](Template& t) { t.authority_key_id = Bytes(20, 7); },
       "authority key identifier"},
      {"another issuer's name",
       [](Template& t) { t.issuer_name_der = crypto::make_name("Somebody else", ""); }, "issuer"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Case tried;
    crypto::CertificateTemplate changed = tried.leaf;
    row.tamper(changed);
    const auto why =
        tried.why({.chain_pem = tried.ca.chain_of(changed), .alternate_chains_pem = {}});
    REQUIRE(why);
    CAPTURE(*why);
    CHECK(why->find(row.why) != std::string::npos);
  }
}

TEST_CASE("a leaf signed by another key than the issuer's is wrong") {
  const Case tried;
  const TestKey stranger;
  const Bytes tbs = crypto::make_tbs(tried.leaf, stranger.signer->algorithm());
  const std::string pem = crypto::to_pem(crypto::sign_certificate(tbs, *stranger.signer)) +
                          crypto::to_pem(tried.ca.issuer().certificate.der);
  const auto why = tried.why({.chain_pem = pem, .alternate_chains_pem = {}});
  REQUIRE(why);
  CHECK(why->find("signature") != std::string::npos);
}

TEST_CASE("a chain must lead from the leaf to the root") {
  Case tried;
  const std::string good = tried.ca.chain_of(tried.leaf);
  const std::string leaf = good.substr(0, good.find("-----BEGIN", 1));
  const std::string root = crypto::to_pem(tried.ca.root().der);
  const ScriptedBackend stranger(tried.entropy);
  const std::string elsewhere = crypto::to_pem(stranger.issuer().certificate.der);
  for (const std::string& pem : {std::string(), std::string("no PEM"), leaf, leaf + root,
                                 leaf + elsewhere, good.substr(leaf.size()) + leaf}) {
    CHECK(tried.why({.chain_pem = pem, .alternate_chains_pem = {}}).has_value());
  }
}

TEST_CASE("every alternate chain must begin with the same leaf and verify") {
  const Case tried;
  const std::string good = tried.ca.chain_of(tried.leaf);
  const std::string root = crypto::to_pem(tried.ca.root().der);
  CHECK(tried.why({.chain_pem = good, .alternate_chains_pem = {good + root}}) == std::nullopt);
  crypto::CertificateTemplate other = tried.leaf;
  other.serial.back() ^= 1;
  const std::string leaf = good.substr(0, good.find("-----BEGIN", 1));
  for (const std::string& bad : {std::string(), tried.ca.chain_of(other), leaf + root, root}) {
    CHECK(tried.why({.chain_pem = good, .alternate_chains_pem = {good, bad}}).has_value());
  }
}

TEST_CASE("an issuer that the backend does not know is wrong") {
  Case tried;
  const backends::Issued issued{.chain_pem = tried.ca.chain_of(tried.leaf),
                                .alternate_chains_pem = {}};
  CHECK(tried.why(issued, {}).has_value());
  const ScriptedBackend stranger(tried.entropy);
  CHECK(tried.why(issued, {&stranger.issuer()}).has_value());
}

TEST_CASE("a subject that the intent does not say is wrong, even a name of the order") {
  Case tried;
  const auto with_name = [](crypto::CertificateTemplate& t) { t.common_name = "a.test"; };
  const auto why = tried.why_changed(with_name);
  REQUIRE(why);
  CHECK(why->find("its subject is \"CN=a.test\"") != std::string::npos);
  tried.expected.subject = "CN=a.test";
  CHECK(tried.why_changed(with_name) == std::nullopt);
  CHECK(tried.why_changed([](auto&) {}).has_value());
  CHECK(tried
            .why_changed([](auto& t) {
              t.common_name = "a.test";
              t.organization = "Somebody";
            })
            .has_value());
}

TEST_CASE("a usage that is allowed may be there or not; one that is required must") {
  Case tried;
  tried.expected.key_usages =
      backends::ExpectedUsages{.required = {"digitalSignature"}, .allowed = {"keyEncipherment"}};
  tried.expected.extended_key_usages =
      backends::ExpectedUsages{.required = {"serverAuth"}, .allowed = {"1.3.6.1.5.5.7.3.2"}};

  struct Row {
    std::vector<std::string> key_usages, extended;
    bool good;
  };

  const Row rows[] = {
      {{"digitalSignature"}, {"serverAuth"}, true},
      {{"digitalSignature", "keyEncipherment"}, {"serverAuth"}, true},
      {{"digitalSignature"}, {"serverAuth", "clientAuth"}, true},
      {{"keyEncipherment"}, {"serverAuth"}, false},
      {{"digitalSignature", "keyAgreement"}, {"serverAuth"}, false},
      {{"digitalSignature"}, {"clientAuth"}, false},
      {{"digitalSignature"}, {"serverAuth", "1.3.6.1.5.5.7.3.4"}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.key_usages);
    CAPTURE(row.extended);
    const auto why = tried.why_changed([&](auto& t) {
      t.key_usages = row.key_usages;
      t.extended_key_usages = row.extended;
    });
    CHECK(why.has_value() != row.good);
  }
}

TEST_CASE("what the intent leaves open is the CA's to choose, within its bounds") {
  using backends::Absent;
  using backends::CaChooses;
  using backends::CertificateExpectation;
  using backends::ExpectedDate;
  using backends::OneOf;
  using backends::Range;
  using std::chrono::hours;
  using Template = crypto::CertificateTemplate;

  struct Row {
    std::string name;
    std::function<void(CertificateExpectation&)> expect;
    std::function<void(Template&)> change;
    bool good;
  };

  const Template leaf = Case().leaf;
  const Instant begin = leaf.not_before;
  const Instant end = leaf.not_after;
  const ExpectedDate begins = Range<Instant>{begin - hours(1), begin + hours(1)};
  const ExpectedDate ends = Range<Instant>{end - hours(1), end};
  const Row rows[] = {
      {"any serial", [](auto& e) { e.serial = CaChooses(); },
       [](Template& t) { t.serial = {1, 2, 3}; }, true},
      {"notBefore at the first moment", [&](auto& e) { e.not_before = begins; },
       [&](Template& t) { t.not_before = begin - hours(1); }, true},
      {"notBefore at the last moment", [&](auto& e) { e.not_before = begins; },
       [&](Template& t) { t.not_before = begin + hours(1); }, true},
      {"notBefore too early", [&](auto& e) { e.not_before = begins; },
       [&](Template& t) { t.not_before = begin - hours(1) - std::chrono::seconds(1); }, false},
      {"notBefore too late", [&](auto& e) { e.not_before = begins; },
       [&](Template& t) { t.not_before = begin + hours(1) + std::chrono::seconds(1); }, false},
      {"notAfter too late", [&](auto& e) { e.not_after = ends; },
       [&](Template& t) { t.not_after = end + std::chrono::seconds(1); }, false},
      {"any notAfter", [](auto& e) { e.not_after = CaChooses(); },
       [&](Template& t) { t.not_after = end + hours(24); }, true},
      {"any CRL", [](auto& e) { e.crl_url = CaChooses(); },
       [](Template& t) { t.crl_url = "http://elsewhere.test/x.crl"; }, true},
      {"any CRL, and there is none", [](auto& e) { e.crl_url = CaChooses(); },
       [](Template& t) { t.crl_url.clear(); }, true},
      {"one of two CRLs",
       [](auto& e) { e.crl_url = OneOf<std::string>{{"http://a.test", "http://b.test"}}; },
       [](Template& t) { t.crl_url = "http://b.test"; }, true},
      {"neither of two CRLs",
       [](auto& e) { e.crl_url = OneOf<std::string>{{"http://a.test", "http://b.test"}}; },
       [](Template& t) { t.crl_url = "http://c.test"; }, false},
      {"no CRL", [](auto& e) { e.crl_url = Absent(); }, [](Template& t) { t.crl_url.clear(); },
       true},
      {"a CRL where none is to be", [](auto& e) { e.crl_url = Absent(); }, [](Template&) {}, false},
      {"any issuer, another key's signature", [](auto& e) { e.issuer = CaChooses(); },
       [](Template& t) { t.authority_key_id = Bytes(20, 7); }, false},
      {"any issuer", [](auto& e) { e.issuer = CaChooses(); }, [](Template&) {}, true},
      {"another issuer", [](auto& e) { e.issuer = OneOf<IssuerId>{{IssuerId("another")}}; },
       [](Template&) {}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Case tried;
    row.expect(tried.expected);
    const auto why = tried.why_changed(row.change);
    CHECK(why.has_value() != row.good);
  }
}

TEST_CASE("of the issuers that are allowed, the one that has signed is told") {
  Case tried;
  const ScriptedBackend other(tried.entropy);  // the same name, another key
  tried.expected.issuer = backends::CaChooses();
  crypto::ChainChecker chains;
  const std::vector<const backends::Issuer*> both = {&other.issuer(), &tried.ca.issuer()};
  const auto checked = service::check_issued(
      {.chain_pem = tried.ca.chain_of(tried.leaf), .alternate_chains_pem = {}}, tried.expected,
      both, testing::kNoon, chains);
  REQUIRE(checked);
  CHECK(checked->issuer == tried.ca.issuer().id);
}

}  // namespace
}  // namespace gatehouse
