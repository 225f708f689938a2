#include <doctest/doctest.h>

#include <functional>

#include "acme-server/base/hex.h"
#include "acme-server/crypto/csr.h"
#include "tests/support/csr_parts.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;
using std::string_view_literals::operator""sv;

constexpr std::string_view kBasicConstraints = "2.5.29.19";
constexpr std::string_view kMicrosoftRequest = "1.3.6.1.4.1.311.2.1.14";

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct BadCsr {
  std::string what;
  std::function<void(CsrParts&)> spoil;
  const char* said;
};

void set_names(CsrParts& parts, const Bytes& names) {
  parts.attributes = extension_request(alternative_names(names));
}

Bytes many_names(std::size_t count) {
  Bytes names;
  for (std::size_t i = 0; i < count; ++i)
    der::append(names, dns_name("n" + std::to_string(i) + ".test"));
  return names;
}

const std::vector<BadCsr>& bad_csrs() {
  static const Bytes good_names = alternative_names(dns_name("a.test"));
  static const std::vector<BadCsr> rows = {
      {"version 1", [](CsrParts& p) { p.version = der::integer(std::uint64_t{1}); }, "version"},
      {"version 3", [](CsrParts& p) { p.version = der::integer(std::uint64_t{3}); }, "version"},
      {"version -1", [](CsrParts& p) { p.version = *hex_decode("0201ff"); }, "version"},
      {"version 2^64",
       [](CsrParts& p) { p.version = der::integer(*hex_decode("010000000000000000")); }, "version"},
      {"signed by another key", [](CsrParts& p) { p.signed_by = TestKey::generate(Kind::p256); },
       "does not verify"},
      {"signed with SHA-1",
       [](CsrParts& p) {
         p.algorithm = der::sequence({der::oid("1.2.840.10045.4.1")});
         p.digest = EVP_sha1();
       },
       "algorithm"},
      {"signed with SHA-224",
       [](CsrParts& p) {
         p.algorithm = der::sequence({der::oid("1.2.840.10045.4.3.1")});
         p.digest = EVP_sha224();
       },
       "algorithm"},
      {"an ECDSA algorithm with parameters",
       [](CsrParts& p) {
         p.algorithm = der::sequence({der::oid("1.2.840.10045.4.3.2"), der::null()});
       },
       "algorithm"},
      {"an RSA algorithm for an EC key",
       [](CsrParts& p) {
         p.algorithm = der::sequence({der::oid("1.2.840.113549.1.1.11"), der::null()});
       },
       "does not verify"},
      {"another digest than it says", [](CsrParts& p) { p.digest = EVP_sha384(); },
       "does not verify"},
      {"an Ed25519 algorithm for an EC key",
       [](CsrParts& p) { p.algorithm = der::sequence({der::oid("1.3.101.112")}); },
       "does not verify"},
      {"two extension requests",
       [](CsrParts& p) {
         p.attributes = extension_request(good_names) + extension_request(good_names);
       },
       "more than one"},
      {"PKCS#9's and Microsoft's",
       [](CsrParts& p) {
         p.attributes =
             extension_request(good_names) + extension_request(good_names, kMicrosoftRequest);
       },
       "more than one"},
      {"an extension request without a value",
       [](CsrParts& p) {
         p.attributes = der::sequence({der::oid("1.2.840.113549.1.9.14"), der::set({})});
       },
       "exactly one value"},
      {"an extension request with two values",
       [](CsrParts& p) {
         const Bytes list = der::element(der::kSequence, good_names);
         p.attributes = der::sequence({der::oid("1.2.840.113549.1.9.14"), der::set({list, list})});
       },
       "exactly one value"},
      {"an extension request that is a text",
       [](CsrParts& p) {
         p.attributes =
             der::sequence({der::oid("1.2.840.113549.1.9.14"), der::set({der::utf8("x")})});
       },
       "list of extensions"},
      {"an extension request of other things",
       [](CsrParts& p) { p.attributes = extension_request(der::utf8("x")); }, "not DER"},
      {"two subjectAltNames",
       [](CsrParts& p) { p.attributes = extension_request(good_names + good_names); }, "twice"},
      {"a critical flag of 01",
       [](CsrParts& p) {
         p.attributes = extension_request(
             der::sequence({der::oid("2.5.29.17"), *hex_decode("010101"),
                            der::octet_string(der::sequence({dns_name("a.test")}))}));
       },
       "critical"},
      {"a critical flag that says FALSE",
       [](CsrParts& p) {
         p.attributes = extension_request(
             der::sequence({der::oid("2.5.29.17"), *hex_decode("010100"),
                            der::octet_string(der::sequence({dns_name("a.test")}))}));
       },
       "not DER"},
      {"a subjectAltName that is empty", [](CsrParts& p) { set_names(p, {}); }, "empty"},
      {"a subjectAltName with trailing bytes",
       [](CsrParts& p) {
         p.attributes = extension_request(
             make_extension("2.5.29.17", der::sequence({dns_name("a.test")}) + Bytes{0}));
       },
       "not DER"},
      {"an e-mail address",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(1), as_bytes("a@a.test"))); },
       "neither a DNS name"},
      {"a URI",
       [](CsrParts& p) {
         set_names(p, der::element(der::primitive_tag(6), as_bytes("https://a.test/")));
       },
       "neither a DNS name"},
      {"a registered id",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(8), Bytes{0x2A, 3})); },
       "neither a DNS name"},
      {"a directory name",
       [](CsrParts& p) {
         set_names(p, der::element(der::constructed_tag(4),
                                   der::sequence({common_name(der::utf8("a.test"))})));
       },
       "neither a DNS name"},
      {"another name (UPN)",
       [](CsrParts& p) {
         const Bytes value = der::element(der::constructed_tag(0), der::utf8("a@a.test"));
         set_names(
             p, der::element(der::constructed_tag(0), der::oid("1.3.6.1.4.1.311.20.2.3") + value));
       },
       "neither a DNS name"},
      {"an X.400 address",
       [](CsrParts& p) { set_names(p, der::element(der::constructed_tag(3), der::sequence({}))); },
       "neither a DNS name"},
      {"an EDI party name",
       [](CsrParts& p) {
         set_names(p, der::element(der::constructed_tag(5),
                                   der::element(der::constructed_tag(1), der::utf8("x"))));
       },
       "neither a DNS name"},
      {"a good name and a URI",
       [](CsrParts& p) {
         set_names(p, dns_name("a.test") +
                          der::element(der::primitive_tag(6), as_bytes("https://a.test/")));
       },
       "neither a DNS name"},
      {"NUL in a DNS name", [](CsrParts& p) { set_names(p, dns_name("good.test\0.evil.test"sv)); },
       "printable"},
      {"NUL behind a DNS name", [](CsrParts& p) { set_names(p, dns_name("good.test\0"sv)); },
       "printable"},
      {"a line break in a DNS name", [](CsrParts& p) { set_names(p, dns_name("a.test\r\n")); },
       "printable"},
      {"a blank in a DNS name", [](CsrParts& p) { set_names(p, dns_name("a .test")); },
       "printable"},
      {"UTF-8 in a DNS name", [](CsrParts& p) { set_names(p, dns_name("b\xc3\xbc.test")); },
       "printable"},
      {"DEL in a DNS name", [](CsrParts& p) { set_names(p, dns_name("a\x7f.test")); }, "printable"},
      {"an empty DNS name", [](CsrParts& p) { set_names(p, dns_name("")); }, "printable"},
      {"a constructed DNS name",
       [](CsrParts& p) {
         set_names(p,
                   der::element(der::constructed_tag(2), der::element(0x16, as_bytes("a.test"))));
       },
       "not DER"},
      {"an address of no octets",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(7), {})); }, "4 or 16"},
      {"an address of 3 octets",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(7), Bytes(3, 1))); },
       "4 or 16"},
      {"an address of 5 octets",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(7), Bytes(5, 1))); },
       "4 or 16"},
      {"an address with a mask",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(7), Bytes(8, 1))); },
       "4 or 16"},
      {"an address of 17 octets",
       [](CsrParts& p) { set_names(p, der::element(der::primitive_tag(7), Bytes(17, 1))); },
       "4 or 16"},
      {"101 names", [](CsrParts& p) { set_names(p, many_names(101)); }, "more than 100"},
      {"101 common names",
       [](CsrParts& p) {
         Bytes names;
         for (int i = 0; i < 101; ++i) der::append(names, common_name(der::utf8("a.test")));
         p.subject = der::element(der::kSequence, names);
       },
       "more than 100"},
      {"a request of 40 KB", [](CsrParts& p) { set_names(p, many_names(3000)); }, "longer than"},
      {"65 extensions",
       [](CsrParts& p) {
         Bytes list;
         for (int i = 1; i <= 65; ++i)
           der::append(list, make_extension("1.2.3." + std::to_string(i), der::null()));
         p.attributes = extension_request(list);
       },
       "64 extensions"},
      {"CA:TRUE",
       [](CsrParts& p) {
         p.attributes = extension_request(
             make_extension(kBasicConstraints, der::sequence({der::boolean_true()})));
       },
       "CA:TRUE"},
      {"CA:TRUE, written 01",
       [](CsrParts& p) {
         p.attributes = extension_request(
             make_extension(kBasicConstraints, der::sequence({*hex_decode("010101")})));
       },
       "basicConstraints"},
      {"a common name with NUL",
       [](CsrParts& p) { p.subject = der::sequence({common_name(der::utf8("a.test\0.b"sv))}); },
       "common name"},
      {"a common name that is a number",
       [](CsrParts& p) {
         p.subject = der::sequence({common_name(der::integer(std::uint64_t{1}))});
       },
       "common name"},
      {"a common name that is not UTF-8",
       [](CsrParts& p) { p.subject = der::sequence({common_name(der::utf8("\xff\xfe"))}); },
       "common name"},
      {"a subject whose attributes are out of order",
       [](CsrParts& p) {
         const Bytes organization = der::sequence({der::oid("2.5.4.10"), der::utf8("A")});
         const Bytes common = der::sequence({der::oid("2.5.4.3"), der::utf8("B")});
         p.subject = der::sequence({der::set({organization, common})});
       },
       "DER"},
      {"a curve that we do not know",
       [](CsrParts& p) {
         const Bytes secp256k1 =
             der::sequence({der::oid("1.2.840.10045.2.1"), der::oid("1.3.132.0.10")});
         p.spki = der::sequence({secp256k1, der::bit_string(Bytes(65, 4))});
       },
       "named curve"},
      {"a key that is no point", [](CsrParts& p) { p.spki.back() ^= 1U; }, "point"},
      {"a compressed point", [](CsrParts& p) { p.spki[26] = 3; }, "uncompressed"},
      {"a key with spare bits", [](CsrParts& p) { p.spki[25] = 1; }, ""},
      {"an RSA key of 16384 bits",
       [](CsrParts& p) {
         Jwk key{.type = KeyType::rsa,
                 .modulus = Bytes(2048, 0xFF),
                 .exponent = {1, 0, 1},
                 .x = {},
                 .y = {}};
         p.spki = subject_public_key_info(key);
       },
       "too large"},
      {"an RSA key with a negative modulus",
       [](CsrParts& p) {
         const Bytes pair =
             der::sequence({*hex_decode("020180"), der::integer(std::uint64_t{65537})});
         p.spki = der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::null()}),
                                 der::bit_string(pair)});
       },
       "negative"},
      {"an RSA modulus of zero",
       [](CsrParts& p) {
         const Bytes pair =
             der::sequence({der::integer(std::uint64_t{0}), der::integer(std::uint64_t{65537})});
         p.spki = der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::null()}),
                                 der::bit_string(pair)});
       },
       "zero"},
      {"an RSA key without parameters",
       [](CsrParts& p) {
         p.spki = der::sequence(
             {der::sequence({der::oid("1.2.840.113549.1.1.1")}), der::bit_string(Bytes{1})});
       },
       "neither RSA"},
      {"an RSA-PSS key",
       [](CsrParts& p) {
         p.spki = der::sequence(
             {der::sequence({der::oid("1.2.840.113549.1.1.10")}), der::bit_string(Bytes{1})});
       },
       "neither RSA"},
  };
  return rows;
}

TEST_CASE("a request with one thing wrong is refused with a sentence") {
  REQUIRE(parse_csr(CsrParts().csr()));
  for (const BadCsr& row : bad_csrs()) {
    CAPTURE(row.what);
    CsrParts parts;
    row.spoil(parts);
    const auto csr = parse_csr(parts.csr());
    REQUIRE_FALSE(csr);
    CAPTURE(csr.error());
    CHECK(csr.error().find(row.said) != std::string::npos);
    CHECK(csr.error().starts_with("The CSR"));
  }
}

TEST_CASE("100 names are accepted") {
  CsrParts parts;
  set_names(parts, many_names(100));
  const auto csr = parse_csr(parts.csr());
  REQUIRE(csr);
  CHECK(csr->dns_names.size() == 100);
}

TEST_CASE("every octet counts: cut short, prolonged or changed, a request is refused") {
  const Bytes good = CsrParts().csr();
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_FALSE(parse_csr(ByteView(good).first(length)));
  CHECK_FALSE(parse_csr(good + Bytes{0}));
  CHECK_FALSE(parse_csr(good + good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    Bytes changed = good;
    changed[i] ^= 0x01U;
    CHECK_FALSE(parse_csr(changed));
  }
}

TEST_CASE("BER that is not DER is refused although it says the same") {
  const Bytes good = CsrParts().csr();
  REQUIRE(good[1] == 0x81);
  const ByteView content = ByteView(good).subspan(3);
  const Bytes body(content.begin(), content.end());
  CHECK_FALSE(parse_csr(Bytes{0x30, 0x82, 0x00, good[2]} + body));  // a longer length than needed
  CHECK_FALSE(parse_csr(Bytes{0x30, 0x80} + body + Bytes{0, 0}));   // indefinite length
}

}  // namespace
}  // namespace gatehouse::crypto
