#include "acme-server/crypto/issue.h"

#include <doctest/doctest.h>
#include <openssl/x509v3.h>

#include <array>
#include <set>
#include <stdexcept>

#include "acme-server/base/check.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/openssl.h"
#include "tests/support/test_ca.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

X509Handle openssl_reads(const Bytes& der) {
  const std::uint8_t* at = der.data();
  X509Handle certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  REQUIRE(certificate);
  REQUIRE(at == der.data() + der.size());
  return certificate;
}

// What OpenSSL prints of an extension, or "" when it is not there.
std::string printed(const X509* certificate, int nid) {
  const int at = X509_get_ext_by_NID(certificate, nid, -1);
  if (at < 0) return {};
  const BioHandle bio(BIO_new(BIO_s_mem()));
  X509_EXTENSION* extension = X509_get_ext(certificate, at);
  if (X509_EXTENSION_get_critical(extension) == 1) BIO_puts(bio.get(), "critical ");
  X509V3_EXT_print(bio.get(), extension, 0, 0);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  std::string result(text, static_cast<std::size_t>(size));
  while (result.ends_with('\n')) result.pop_back();
  return result;
}

CertificateTemplate full_template(const TestKey& key) {
  CertificateTemplate what = leaf_template(key, "a.test");
  what.common_name = "a.test";
  what.dns_names = {"a.test", "*.b.test"};
  what.ip_addresses = {"192.0.2.1", "2001:db8::1"};
  what.key_usages = {"digitalSignature", "keyEncipherment"};
  what.extended_key_usages = {"serverAuth", "clientAuth", "1.2.3.4"};
  what.crl_url = "http://ca.test/crl/0.crl";
  what.issuer_url = "http://ca.test/issuer.der";
  what.ocsp_url = "http://ca.test/ocsp";
  return what;
}

TEST_CASE(
    "what is issued verifies with OpenSSL under every kind of CA key, and says what the template "
    "says") {
  for (const Kind kind : {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519}) {
    const TestKey ca_key = TestKey::fixed(kind);
    CAPTURE(ca_key.alg());
    const TestCa ca = TestCa::root(ca_key);
    const TestKey leaf_key = TestKey::generate(Kind::p256);
    const CertificateTemplate what = full_template(leaf_key);
    const Certificate leaf = ca.issue(what);
    const X509Handle read = openssl_reads(leaf.der);
    CHECK(X509_verify(read.get(), ca_key.handle()) == 1);
    CHECK(X509_verify(openssl_reads(ca.certificate.der).get(), ca_key.handle()) == 1);
    CHECK(X509_verify(read.get(), leaf_key.handle()) != 1);
    CHECK(X509_check_host(read.get(), "x.b.test", 0, 0, nullptr) == 1);
    CHECK(X509_check_ip_asc(read.get(), "2001:db8::1", 0) == 1);
    CHECK(X509_check_host(read.get(), "c.test", 0, 0, nullptr) == 0);
    CHECK(X509_get_version(read.get()) == X509_VERSION_3);
    CHECK(X509_check_private_key(read.get(), leaf_key.handle()) == 1);

    CHECK(leaf.serial == hex_encode(what.serial));
    CHECK(leaf.not_before == what.not_before);
    CHECK(leaf.not_after == what.not_after);
    CHECK(leaf.spki == leaf_key.spki());
    CHECK(leaf.common_names == std::vector<std::string>{"a.test"});
    CHECK(leaf.dns_names == what.dns_names);
    CHECK(leaf.ip_addresses == what.ip_addresses);
    CHECK_FALSE(leaf.has_other_names);
    CHECK_FALSE(leaf.is_ca);
    CHECK(leaf.key_usages == what.key_usages);
    CHECK(leaf.extended_key_usages ==
          std::vector<std::string>{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.2.3.4"});
    CHECK(leaf.crl_urls == std::vector<std::string>{what.crl_url});
    CHECK(leaf.issuer_urls == std::vector<std::string>{what.issuer_url});
    CHECK(leaf.authority_key_id == ca.certificate.subject_key_id);
    CHECK(leaf.issuer_name_der == ca.certificate.subject_name_der);
    CHECK(is_signed_by(leaf, ca.certificate));
    CHECK_FALSE(is_signed_by(leaf, leaf));
  }
}

TEST_CASE("OpenSSL prints the extensions as they are meant, critical where RFC 5280 wants it") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  const X509Handle leaf = openssl_reads(ca.issue(full_template(TestKey::fixed(Kind::p384))).der);
  CHECK(printed(leaf.get(), NID_basic_constraints) == "critical CA:FALSE");
  CHECK(printed(leaf.get(), NID_key_usage) == "critical Digital Signature, Key Encipherment");
  CHECK(printed(leaf.get(), NID_ext_key_usage) ==
        "TLS Web Server Authentication, TLS Web Client Authentication, 1.2.3.4");
  CHECK(printed(leaf.get(), NID_subject_alt_name) ==
        "DNS:a.test, DNS:*.b.test, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1");
  CHECK(printed(leaf.get(), NID_crl_distribution_points).find("URI:http://ca.test/crl/0.crl") !=
        std::string::npos);
  const std::string access = printed(leaf.get(), NID_info_access);
  CHECK(access.find("OCSP - URI:http://ca.test/ocsp") != std::string::npos);
  CHECK(access.find("CA Issuers - URI:http://ca.test/issuer.der") != std::string::npos);

  CertificateTemplate below = ca_template(TestKey::fixed(Kind::p521), "Below");
  below.path_length = 0;
  below.permitted_dns = {"example.test"};
  below.permitted_ip = {"10.0.0.0/8", "192.0.2.128/25", "2001:db8::/32"};
  const X509Handle constrained = openssl_reads(ca.issue(below).der);
  CHECK(printed(constrained.get(), NID_basic_constraints) == "critical CA:TRUE, pathlen:0");
  CHECK(printed(constrained.get(), NID_key_usage) == "critical Certificate Sign, CRL Sign");
  const std::string permitted = printed(constrained.get(), NID_name_constraints);
  CHECK(permitted.starts_with("critical Permitted:"));
  for (const char* part :
       {"DNS:example.test", "IP:10.0.0.0/255.0.0.0", "IP:192.0.2.128/255.255.255.128",
        "IP:2001:DB8:0:0:0:0:0:0/FFFF:FFFF:0:0:0:0:0:0"}) {
    CHECK(permitted.find(part) != std::string::npos);
  }
}

TEST_CASE("the extensions stand in one order") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CertificateTemplate what = full_template(TestKey::fixed(Kind::p384));
  what.is_ca = true;
  what.permitted_dns = {"a.test"};
  const X509Handle read = openssl_reads(ca.issue(what).der);
  std::vector<int> order;
  for (int i = 0; i < X509_get_ext_count(read.get()); ++i) {
    order.push_back(OBJ_obj2nid(X509_EXTENSION_get_object(X509_get_ext(read.get(), i))));
  }
  CHECK(order == std::vector<int>{NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
                                  NID_subject_key_identifier, NID_authority_key_identifier,
                                  NID_subject_alt_name, NID_crl_distribution_points,
                                  NID_info_access, NID_name_constraints});
}

TEST_CASE("the subjectAltName is critical exactly when the subject is empty") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CertificateTemplate what = leaf_template(TestKey::fixed(Kind::p384), "a.test");
  const Certificate unnamed = ca.issue(what);
  CHECK(printed(openssl_reads(unnamed.der).get(), NID_subject_alt_name) == "critical DNS:a.test");
  CHECK(unnamed.subject_name_der == Bytes{0x30, 0x00});
  what.common_name = "a.test";
  CHECK(printed(openssl_reads(ca.issue(what).der).get(), NID_subject_alt_name) == "DNS:a.test");
}

TEST_CASE("years from 2050 on are GeneralizedTime, and both ends of a validity are kept") {
  using namespace std::chrono;
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CertificateTemplate what = leaf_template(TestKey::fixed(Kind::p384), "a.test");
  what.not_before = sys_days(2049y / 12 / 31) + 23h + 59min + 59s;
  what.not_after = sys_days(2050y / 1 / 1);
  const Certificate leaf = ca.issue(what);
  CHECK(leaf.not_before == what.not_before);
  CHECK(leaf.not_after == what.not_after);
  const X509Handle read = openssl_reads(leaf.der);
  CHECK(ASN1_STRING_type(X509_get0_notBefore(read.get())) == V_ASN1_UTCTIME);
  CHECK(ASN1_STRING_type(X509_get0_notAfter(read.get())) == V_ASN1_GENERALIZEDTIME);
}

TEST_CASE("the same template gives the same octets, and the algorithm is the one it was given") {
  const TestKey key = TestKey::fixed(Kind::p384);
  const auto rsa = load_signer(Secret(kRsaKey), Secret());
  const auto ec = load_signer(Secret(kP256Key), Secret());
  const CertificateTemplate what = full_template(key);
  CHECK(make_tbs(what, rsa->algorithm()) == make_tbs(what, rsa->algorithm()));
  CHECK(make_tbs(what, rsa->algorithm()) != make_tbs(what, ec->algorithm()));
  // A TBS made for one key and signed by another names two algorithms.
  CHECK_FALSE(parse_certificate(sign_certificate(make_tbs(what, rsa->algorithm()), *ec)));
  const Certificate leaf =
      parse_certificate(sign_certificate(make_tbs(what, ec->algorithm()), *ec)).value();
  CHECK(leaf.tbs == make_tbs(what, ec->algorithm()));
}

TEST_CASE(
    "a subject key identifier is the leftmost 160 bits of SHA-256 of the key bits (RFC 7093)") {
  const TestKey key = TestKey::fixed(Kind::p256);
  const Bytes spki = key.spki();
  const Sha256 digest = sha256(ByteView(spki).last(65));
  CHECK(subject_key_id_of(spki) == Bytes(digest.begin(), digest.begin() + 20));
  CHECK(TestCa::root(key).certificate.subject_key_id == subject_key_id_of(spki));
}

TEST_CASE("serials are 18 octets, positive, never alike, and every bit moves") {
  SeededEntropy entropy;
  std::set<Bytes> seen;
  std::array<std::size_t, 144> ones{};
  constexpr std::size_t kCount = 10'000;
  for (std::size_t i = 0; i < kCount; ++i) {
    const Bytes serial = random_serial(entropy);
    REQUIRE(serial.size() == 18);
    REQUIRE(serial[0] >= 0x01);
    REQUIRE(serial[0] <= 0x7F);
    REQUIRE(seen.insert(serial).second);
    for (std::size_t bit = 0; bit < ones.size(); ++bit)
      ones.at(bit) += (static_cast<unsigned>(serial[bit / 8]) >> (7 - bit % 8)) & 1U;
  }
  CHECK(ones[0] == 0);
  for (std::size_t bit = 1; bit < ones.size(); ++bit) {
    CAPTURE(bit);
    CHECK(ones.at(bit) > kCount * 47 / 100);
    CHECK(ones.at(bit) < kCount * 53 / 100);
  }
}

TEST_CASE("a name is organization, then common name, and at most 64 characters each") {
  const TestCa ca = TestCa::make(
      [] {
        CertificateTemplate what = ca_template(TestKey::fixed(Kind::p256), "Gate CA");
        what.organization = "Example";
        return what;
      }(),
      TestKey::fixed(Kind::p256), nullptr);
  CHECK(ca.certificate.subject_name == "O=Example, CN=Gate CA");
  CHECK(ca.certificate.subject_name_der == make_name("Gate CA", "Example"));
  CHECK(ca.certificate.issuer_name_der == ca.certificate.subject_name_der);
  CHECK_NOTHROW(make_name(std::string(64, 'a'), ""));
  CHECK_THROWS_AS(make_name(std::string(65, 'a'), ""), std::runtime_error);
}

TEST_CASE("a template that no certificate can hold is refused") {
  const TestKey key = TestKey::fixed(Kind::p256);
  const auto signer = load_signer(Secret(kP256Key), Secret());
  const auto with = [&](auto spoil) {
    CertificateTemplate what = leaf_template(key, "a.test");
    spoil(what);
    return make_tbs(what, signer->algorithm());
  };
  CHECK_NOTHROW(with([](CertificateTemplate&) {}));
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.serial = {}; }), LogicError);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.serial = {0}; }), LogicError);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.serial = {0x80}; }), LogicError);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.serial = Bytes(21, 1); }), LogicError);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { std::swap(t.not_before, t.not_after); }),
                  LogicError);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.permitted_dns = {"a.test"}; }), LogicError);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.key_usages = {"signing"}; }),
                  std::runtime_error);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.extended_key_usages = {"web"}; }),
                  std::runtime_error);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.ip_addresses = {"192.0.2"}; }),
                  std::runtime_error);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.dns_names = {""}; }), std::runtime_error);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.dns_names = {"b\xc3\xbc.test"}; }),
                  std::runtime_error);
  CHECK_THROWS_AS(with([](CertificateTemplate& t) { t.crl_url = "http://a b/"; }),
                  std::runtime_error);
}

}  // namespace
}  // namespace gatehouse::crypto
