#include "acme-server/crypto/csr.h"

#include <doctest/doctest.h>

#include "acme-server/base/hex.h"
#include "acme-server/crypto/public_key.h"
#include "tests/support/company_ca.h"
#include "tests/support/csr_parts.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

constexpr std::string_view kBasicConstraints = "2.5.29.19";
constexpr std::string_view kTlsFeature = "1.3.6.1.5.5.7.1.24";
constexpr std::string_view kMicrosoftRequest = "1.3.6.1.4.1.311.2.1.14";

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_CASE("the names, the key and its octets are read from a request, as they are written") {
  CsrParts parts;
  parts.subject = der::sequence(
      {common_name(der::utf8("A.Test")), common_name(der::element(0x13, as_bytes("b.test")))});
  const Bytes names =
      dns_name("A.Test") + dns_name("*.b.test") +
      der::element(der::primitive_tag(7), Bytes{192, 0, 2, 1}) +
      der::element(der::primitive_tag(7), *hex_decode("20010db8000000000000000000000001"));
  parts.attributes = extension_request(alternative_names(names));
  const Bytes der = parts.csr();
  const auto csr = parse_csr(der);
  REQUIRE(csr);
  CHECK(csr->der == der);
  CHECK(csr->spki == parts.key.spki());
  CHECK(thumbprint(csr->key) == parts.key.thumbprint());
  CHECK(csr->common_names == std::vector<std::string>{"A.Test", "b.test"});
  CHECK(csr->dns_names == std::vector<std::string>{"A.Test", "*.b.test"});
  CHECK(csr->ip_addresses == std::vector<std::string>{"192.0.2.1", "2001:db8::1"});
  CHECK_FALSE(csr->must_staple);
}

TEST_CASE("a request signed by every kind of key verifies") {
  struct Row {
    Kind kind;
    std::string algorithm;
    bool null_parameters;
    const EVP_MD* digest;
  };

  const Row rows[] = {
      {Kind::rsa2048, "1.2.840.113549.1.1.11", true, EVP_sha256()},
      {Kind::rsa2048, "1.2.840.113549.1.1.12", true, EVP_sha384()},
      {Kind::rsa2048, "1.2.840.113549.1.1.13", true, EVP_sha512()},
      {Kind::p256, "1.2.840.10045.4.3.2", false, EVP_sha256()},
      {Kind::p256, "1.2.840.10045.4.3.3", false, EVP_sha384()},
      {Kind::p384, "1.2.840.10045.4.3.2", false, EVP_sha256()},
      {Kind::p384, "1.2.840.10045.4.3.3", false, EVP_sha384()},
      {Kind::p521, "1.2.840.10045.4.3.4", false, EVP_sha512()},
      {Kind::ed25519, "1.3.101.112", false, nullptr},
  };
  for (const Row& row : rows) {
    CAPTURE(row.algorithm);
    const TestKey key = TestKey::fixed(row.kind);
    CsrParts parts{.key = key};
    parts.algorithm =
        der::sequence({der::oid(row.algorithm), row.null_parameters ? der::null() : Bytes()});
    parts.digest = row.digest;
    const auto csr = parse_csr(parts.csr());
    REQUIRE(csr);
    CHECK(thumbprint(csr->key) == key.thumbprint());
  }
}

TEST_CASE("a request may do without names, attributes and subject; core decides") {
  CsrParts parts;
  parts.attributes = {};
  CHECK(parse_csr(parts.csr()));

  // [0] left out altogether, as some clients do.
  const Bytes info = der::sequence({parts.version, parts.subject, parts.spki});
  const Bytes csr =
      der::sequence({info, parts.algorithm, der::bit_string(parts.key.sign_der(as_text(info)))});
  CHECK(parse_csr(csr));

  parts.attributes = extension_request({});
  CHECK(parse_csr(parts.csr()));
}

TEST_CASE("a certificate's version 3 in a request is taken as the 0 that is meant") {
  CsrParts parts;
  parts.version = der::integer(std::uint64_t{2});
  const Bytes der = parts.csr();
  const auto csr = parse_csr(der);
  REQUIRE(csr);
  CHECK(csr->der == der);
}

TEST_CASE("what else a request asks for is neither copied nor refused") {
  CsrParts parts;
  const Bytes usage = make_extension("2.5.29.15", der::named_bits(1U << 5U));
  const Bytes unknown = make_extension("1.2.3.4.5", der::null());
  const Bytes challenge =
      der::sequence({der::oid("1.2.840.113549.1.9.7"), der::set({der::utf8("pw")})});
  parts.attributes =
      challenge + extension_request(alternative_names(dns_name("a.test")) + usage + unknown +
                                    make_extension(kBasicConstraints, der::sequence({})));
  const auto csr = parse_csr(parts.csr());
  REQUIRE(csr);
  CHECK(csr->dns_names == std::vector<std::string>{"a.test"});
}

TEST_CASE("attributes are read in any order: clients do not sort them, and it says nothing") {
  CsrParts parts;
  const Bytes request = extension_request(alternative_names(dns_name("a.test")));
  const auto challenge = [](const Bytes& values) {
    return der::sequence({der::oid("1.2.840.113549.1.9.7"), der::element(der::kSet, values)});
  };
  const Bytes a = der::utf8("a");
  const Bytes b = der::utf8("b");
  for (const Bytes& attributes : {challenge(a) + request, request + challenge(a),
                                  challenge(a + b) + request, challenge(b + a) + request}) {
    parts.attributes = attributes;
    const Bytes whole = parts.csr();
    const auto csr = parse_csr(whole);
    REQUIRE(csr);
    CHECK(csr->dns_names == std::vector<std::string>{"a.test"});
    CHECK(csr->der == whole);
  }
}

TEST_CASE("must-staple is seen") {
  CsrParts parts;
  const auto with_features = [&](const Bytes& features) {
    parts.attributes =
        extension_request(make_extension(kTlsFeature, der::element(der::kSequence, features)));
    return parse_csr(parts.csr());
  };
  CHECK(with_features(der::integer(std::uint64_t{5}))->must_staple);
  CHECK(
      with_features(der::integer(std::uint64_t{17}) + der::integer(std::uint64_t{5}))->must_staple);
  CHECK_FALSE(with_features(der::integer(std::uint64_t{17}))->must_staple);
  CHECK_FALSE(with_features(der::utf8("5")));
}

TEST_CASE("Microsoft's extension request is one like PKCS#9's, and one of them is enough") {
  CsrParts parts;
  parts.attributes = extension_request(alternative_names(dns_name("a.test")), kMicrosoftRequest);
  const auto csr = parse_csr(parts.csr());
  REQUIRE(csr);
  CHECK(csr->dns_names == std::vector<std::string>{"a.test"});
}

TEST_CASE("a request signed with RSASSA-PSS verifies, and another algorithm is named") {
  const testing::TemporaryFolder folder;
  const auto request = [&](std::vector<std::string> how) {
    std::vector<std::string> arguments = {
        "req",      "-newkey",    "rsa:2048", "-nodes",
        "-subj",    "/CN=a.test", "-keyout",  folder.path() + "/key",
        "-outform", "DER",        "-out",     folder.path() + "/csr"};
    arguments.insert(arguments.end(), how.begin(), how.end());
    REQUIRE(testing::openssl(arguments) == 0);
    return read_file(folder.path() + "/csr");
  };
  const std::string pss = request({"-sha256", "-sigopt", "rsa_padding_mode:pss"});
  const auto read = parse_csr(as_bytes(pss));
  CHECK_MESSAGE(read, read.error());
  const auto refused = parse_csr(as_bytes(request({"-sha1"})));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().starts_with(
      "The CSR is signed with the algorithm sha1WithRSAEncryption, which is not accepted; use "));
}

}  // namespace
}  // namespace gatehouse::crypto
