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
    issuance = {.id = IssuanceId("i1"),
                .order = order.id,
                .backend = "local",
                .issuer = made.issuer,
                .serial = made.serial,
                .profile = profile.name,
                .profile_hash = hash_of(profile),
                .key_policy_hash = "",
                .spki_sha256 = key.sha256,
                .request = made.request,
                .poll = "",
                .crl_url = made.crl_url,
                .not_before = made.not_before,
                .not_after = made.not_after,
                .created = testing::kNoon,
                .state = store::IssuanceState::submitted};
    leaf = ca.template_of(made.request);
  }

  std::optional<std::string> why(const backends::Issued& issued) const {
    crypto::ChainChecker chains;
    return service::why_wrong(issued, order, issuance, &profile, &ca.issuers().front(), chains);
  }

  testing::SeededEntropy entropy;
  ScriptedBackend ca{entropy};
  TestKey key;
  Profile profile;
  Order order;
  store::Issuance issuance;
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
                          crypto::to_pem(tried.ca.issuers().front().certificate.der);
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
  const std::string elsewhere = crypto::to_pem(stranger.issuers().front().certificate.der);
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
  const Case tried;
  crypto::ChainChecker chains;
  CHECK(service::why_wrong({.chain_pem = tried.ca.chain_of(tried.leaf), .alternate_chains_pem = {}},
                           tried.order, tried.issuance, &tried.profile, nullptr, chains)
            .has_value());
}

TEST_CASE("usages are compared only with the profile that the intent was made under") {
  const Case tried;
  crypto::CertificateTemplate changed = tried.leaf;
  changed.extended_key_usages = {"serverAuth", "clientAuth"};
  const backends::Issued issued{.chain_pem = tried.ca.chain_of(changed),
                                .alternate_chains_pem = {}};
  CHECK(tried.why(issued).has_value());
  crypto::ChainChecker chains;
  CHECK(service::why_wrong(issued, tried.order, tried.issuance, nullptr,
                           &tried.ca.issuers().front(), chains) == std::nullopt);
}

TEST_CASE("keyEncipherment is for RSA keys: a profile may ask for it and an EC leaf lack it") {
  Case tried;
  tried.profile.key_usages = {"digitalSignature", "keyEncipherment"};
  CHECK(tried.why({.chain_pem = tried.ca.chain_of(tried.leaf), .alternate_chains_pem = {}}) ==
        std::nullopt);
}

}  // namespace
}  // namespace gatehouse
