#include "acme-server/crypto/acme_certificate.h"

#include <doctest/doctest.h>

#include "acme-server/base/hex.h"
#include "tests/support/challenge_certificate.h"

namespace gatehouse::crypto {
namespace {

using testing::ChallengeCertificate;

const Sha256 kDigest = sha256(std::string_view("token.thumbprint"));

AcmeCertificateTerms terms_for(std::string name) {
  return {.dns_name = std::move(name), .address = std::nullopt, .digest = kDigest};
}

AcmeCertificateTerms terms_for(const IpAddress& address) {
  return {.dns_name = "", .address = address, .digest = kDigest};
}

TEST_CASE("a subjectAltName of one name is what DER says") {
  CHECK(hex_encode(alternative_name_of("a.test")) == "30088206612e74657374");
  CHECK(hex_encode(alternative_name_of(IpAddress::v4(192, 0, 2, 1))) == "30068704c0000201");
  CHECK(hex_encode(alternative_name_of(IpAddress::parse("2001:db8::1").value())) ==
        "3012871020010db8000000000000000000000001");
}

TEST_CASE("an address of either family is proven by its octets alone") {
  const IpAddress v4 = IpAddress::v4(192, 0, 2, 1);
  const IpAddress v6 = IpAddress::parse("2001:db8::1").value();
  const IpAddress mapped = IpAddress::parse("::ffff:192.0.2.1").value();
  const auto passes = [](const IpAddress& asked, const IpAddress& shown) {
    return !why_not_acme_certificate(ChallengeCertificate::of(shown, kDigest).der(),
                                     terms_for(asked));
  };
  for (const IpAddress& asked : {v4, v6, mapped}) {
    for (const IpAddress& shown : {v4, v6, mapped}) CHECK(passes(asked, shown) == (asked == shown));
  }
  CHECK(why_not_acme_certificate(ChallengeCertificate::of(v4, kDigest).der(), terms_for("a.test")));
  CHECK(why_not_acme_certificate(ChallengeCertificate::of("a.test", kDigest).der(), terms_for(v4)));
}

TEST_CASE("every single bit of the certificate counts") {
  const Bytes good = ChallengeCertificate::of("a.test", kDigest).der();
  REQUIRE_FALSE(why_not_acme_certificate(good, terms_for("a.test")));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes changed = good;
    changed[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    CAPTURE(at);
    CHECK(why_not_acme_certificate(changed, terms_for("a.test")));
  }
}

TEST_CASE("every cut, and anything behind it, is refused") {
  const Bytes good = ChallengeCertificate::of("a.test", kDigest).der();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto complaint =
        why_not_acme_certificate(ByteView(good).first(size), terms_for("a.test"));
    REQUIRE(complaint);
    CHECK(complaint->starts_with("the certificate "));
  }
  Bytes longer = good;
  longer.push_back(0);
  CHECK(why_not_acme_certificate(longer, terms_for("a.test")));
}

TEST_CASE("what others wrote is shown escaped and short") {
  auto made = ChallengeCertificate::of("a.test", kDigest);
  made.extensions[0] = testing::san_of(
      std::vector<Bytes>(50, testing::general_name(testing::kDnsNameTag, std::string(200, '"'))));
  const auto complaint = why_not_acme_certificate(made.der(), terms_for("a.test"));
  REQUIRE(complaint);
  CHECK(complaint->find("45 more") != std::string::npos);
  CHECK(complaint->size() < 1000);
}

}  // namespace
}  // namespace gatehouse::crypto
