#include "acme-server/crypto/certificate.h"

#include <doctest/doctest.h>

#include <functional>

#include "acme-server/base/hex.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/digest.h"
#include "tests/support/test_ca.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

// A TBSCertificate part by part, for certificates that make_tbs would not make.
struct TbsParts {
  TestKey key = TestKey::fixed(Kind::p256);
  Bytes version = der::element(der::constructed_tag(0), der::integer(std::uint64_t{2}));
  Bytes serial = der::integer(std::uint64_t{77});
  Bytes algorithm = der::sequence({der::oid("1.2.840.10045.4.3.2")});
  Bytes not_before = der::time(kNoon);
  Bytes not_after = der::time(kNoon + kDay);
  Bytes subject = make_name("a.test", "");
  Bytes extensions;  // content of the list; empty: no list
  Bytes outer_algorithm = algorithm;

  Bytes certificate() const {
    const Bytes list = extensions.empty() ? Bytes()
                                          : der::element(der::constructed_tag(3),
                                                         der::element(der::kSequence, extensions));
    const Bytes tbs =
        der::sequence({version, serial, algorithm, make_name("Issuer", ""),
                       der::sequence({not_before, not_after}), subject, key.spki(), list});
    return der::sequence({tbs, outer_algorithm, der::bit_string(key.sign_der(as_text(tbs)))});
  }
};

Bytes extension(std::string_view oid, const Bytes& value) {
  return der::sequence({der::oid(oid), der::octet_string(value)});
}

TEST_CASE("a version 1 certificate without extensions is read, as old roots are") {
  TbsParts parts;
  parts.version = {};
  const auto certificate = parse_certificate(parts.certificate());
  REQUIRE(certificate);
  CHECK(certificate->serial == "4d");
  CHECK(certificate->subject_name == "CN=a.test");
  CHECK(certificate->issuer_name == "CN=Issuer");
  CHECK(certificate->dns_names.empty());
}

TEST_CASE("a serial loses the zero that only keeps it positive") {
  TbsParts parts;
  parts.serial = *hex_decode("02020080");
  CHECK(parse_certificate(parts.certificate())->serial == "80");
}

struct BadCertificate {
  std::string what;
  std::function<void(TbsParts&)> spoil;
};

TEST_CASE("a certificate with one thing wrong is refused") {
  const std::vector<BadCertificate> rows = {
      {"version 1, written out",
       [](TbsParts& p) { p.version = der::element(0xA0, der::integer(std::uint64_t{0})); }},
      {"version 2",
       [](TbsParts& p) { p.version = der::element(0xA0, der::integer(std::uint64_t{1})); }},
      {"version 4",
       [](TbsParts& p) { p.version = der::element(0xA0, der::integer(std::uint64_t{3})); }},
      {"version 1 with extensions",
       [](TbsParts& p) {
         p.version = {};
         p.extensions = extension("1.2.3", der::null());
       }},
      {"negative serial", [](TbsParts& p) { p.serial = *hex_decode("020180"); }},
      {"serial with needless zeros", [](TbsParts& p) { p.serial = *hex_decode("0202004d"); }},
      {"two algorithms",
       [](TbsParts& p) { p.outer_algorithm = der::sequence({der::oid("1.2.840.10045.4.3.3")}); }},
      {"time without seconds",
       [](TbsParts& p) { p.not_before = der::element(0x17, as_bytes("2606011200Z")); }},
      {"time with an offset",
       [](TbsParts& p) { p.not_before = der::element(0x17, as_bytes("260601120000+0100")); }},
      {"time with a fraction",
       [](TbsParts& p) { p.not_after = der::element(0x18, as_bytes("20600601120000.5Z")); }},
      {"month 13",
       [](TbsParts& p) { p.not_before = der::element(0x17, as_bytes("261301120000Z")); }},
      {"30 February",
       [](TbsParts& p) { p.not_before = der::element(0x17, as_bytes("260230120000Z")); }},
      {"hour 24",
       [](TbsParts& p) { p.not_before = der::element(0x17, as_bytes("260601240000Z")); }},
      {"a letter in a time",
       [](TbsParts& p) { p.not_before = der::element(0x17, as_bytes("26060112000xZ")); }},
      {"an extension twice",
       [](TbsParts& p) {
         p.extensions =
             der::concat({extension("1.2.3", der::null()), extension("1.2.3", der::null())});
       }},
      {"basicConstraints that are not DER",
       [](TbsParts& p) { p.extensions = extension("2.5.29.19", *hex_decode("3003010101")); }},
      {"a path length of 2^40",
       [](TbsParts& p) {
         p.extensions = extension("2.5.29.19", *hex_decode("300b0101ff0206010000000000"));
       }},
      {"a negative path length",
       [](TbsParts& p) { p.extensions = extension("2.5.29.19", *hex_decode("30060101ff0201ff")); }},
      {"keyUsage with trailing bytes",
       [](TbsParts& p) { p.extensions = extension("2.5.29.15", *hex_decode("0302078000")); }},
      {"SAN with NUL",
       [](TbsParts& p) {
         p.extensions =
             extension("2.5.29.17", der::sequence({der::element(0x82, Bytes{'a', 0, 'b'})}));
       }},
      {"SKI that is no octets",
       [](TbsParts& p) { p.extensions = extension("2.5.29.14", der::null()); }},
      {"AKI that is no sequence",
       [](TbsParts& p) { p.extensions = extension("2.5.29.35", der::null()); }},
      {"EKU that is no list",
       [](TbsParts& p) { p.extensions = extension("2.5.29.37", der::null()); }},
      {"CDP that is no list",
       [](TbsParts& p) { p.extensions = extension("2.5.29.31", der::null()); }},
      {"AIA that is no list",
       [](TbsParts& p) { p.extensions = extension("1.3.6.1.5.5.7.1.1", der::null()); }},
  };
  REQUIRE(parse_certificate(TbsParts().certificate()));
  for (const BadCertificate& row : rows) {
    CAPTURE(row.what);
    TbsParts parts;
    row.spoil(parts);
    const auto certificate = parse_certificate(parts.certificate());
    REQUIRE_FALSE(certificate);
    CHECK(certificate.error().starts_with("The certificate"));
  }
}

TEST_CASE("names of other types are noticed") {
  TbsParts parts;
  parts.extensions =
      extension("2.5.29.17", der::sequence({der::element(0x82, as_bytes("a.test")),
                                            der::element(0x86, as_bytes("https://a.test/"))}));
  const auto certificate = parse_certificate(parts.certificate());
  REQUIRE(certificate);
  CHECK(certificate->has_other_names);
  CHECK(certificate->dns_names == std::vector<std::string>{"a.test"});
}

TEST_CASE("cut short, prolonged or changed, a certificate is not the same") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  const Bytes good = ca.issue(leaf_template(TestKey::fixed(Kind::p384), "a.test")).der;
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_FALSE(parse_certificate(ByteView(good).first(length)));
  Bytes longer = good;
  longer.push_back(0);
  CHECK_FALSE(parse_certificate(longer));
  for (std::size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    Bytes changed = good;
    changed[i] ^= 0x01U;
    const auto certificate = parse_certificate(changed);
    CHECK((!certificate || !is_signed_by(*certificate, ca.certificate)));
  }
  CHECK_FALSE(parse_certificate(Bytes(kMaxCertificateBytes + 1)));
}

TEST_CASE("an issuer's key of a kind that we do not know signs nothing") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  Certificate other = ca.certificate;
  other.spki = *hex_decode(
      "300506032b656e0321000000000000000000000000000000000000000000000000000000000000000000");
  CHECK_FALSE(jwk_of_spki(other.spki));
  CHECK_FALSE(is_signed_by(ca.certificate, other));
  CHECK(is_signed_by(ca.certificate, ca.certificate));
}

TEST_CASE("PEM is 64 columns with LF, and comes back as it was") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::rsa2048));
  const std::string pem = to_pem(ca.certificate.der);
  CHECK(pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
  CHECK(pem.ends_with("\n-----END CERTIFICATE-----\n"));
  CHECK(pem.find('\r') == std::string::npos);
  std::size_t begin = 0;
  for (std::size_t end = pem.find('\n'); end != std::string::npos;
       begin = end + 1, end = pem.find('\n', begin)) {
    CHECK(end - begin <= 64);
  }
  const auto chain = parse_pem_chain(pem);
  REQUIRE(chain);
  CHECK(*chain == std::vector<Certificate>{ca.certificate});
}

TEST_CASE("a PEM chain may have text between its blocks and CRLF") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  const Certificate leaf = ca.issue(leaf_template(TestKey::fixed(Kind::p384), "a.test"));
  std::string crlf;
  for (const char c : to_pem(ca.certificate.der))
    crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const auto chain = parse_pem_chain("leaf:\n" + to_pem(leaf.der) + "# root\n" + crlf + "end\n");
  REQUIRE(chain);
  CHECK(*chain == std::vector<Certificate>{leaf, ca.certificate});
}

TEST_CASE("a PEM text without whole certificates is refused") {
  const std::string good = to_pem(TestCa::root(TestKey::fixed(Kind::p256)).certificate.der);
  const std::string begin = "-----BEGIN CERTIFICATE-----\n";
  const std::string end = "-----END CERTIFICATE-----\n";
  const std::vector<std::string> rows = {"",
                                         "no certificate",
                                         std::string(kP256Key),
                                         good.substr(0, good.size() - 10),
                                         begin + end,
                                         begin + "MAA\n" + end,
                                         begin + "MAA=\n" + end,
                                         begin + "MA A=\n" + end,
                                         begin + "MA-_\n" + end,
                                         begin + "====\n" + end,
                                         begin + begin + good.substr(begin.size()),
                                         good + begin + "MAA=\n" + end};
  for (const std::string& pem : rows) {
    CAPTURE(pem);
    CHECK_FALSE(parse_pem_chain(pem));
  }
}

}  // namespace
}  // namespace gatehouse::crypto
