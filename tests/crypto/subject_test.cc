#include "acme-server/crypto/subject.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/issue.h"
#include "tests/support/test_ca.h"

namespace gatehouse::crypto {
namespace {

// As people would read it in a certificate.
std::string printed(const Bytes& name) {
  const auto key = testing::TestKey::fixed(testing::TestKey::Kind::p256);
  CertificateTemplate ca = testing::ca_template(key, "");
  ca.subject_name_der = name;
  return testing::TestCa::make(ca, key, nullptr).certificate.subject_name;
}

TEST_CASE("a subject is what was written, in that order") {
  CHECK(printed(parse_subject("C=DE, O=Corp,CN=Corp Issuing CA").value()) ==
        "C=DE, O=Corp, CN=Corp Issuing CA");
  CHECK(printed(parse_subject("dc=test,dc=corp,ou=PKI,cn=Sub\\, CA").value()).find("DC=test") == 0);
  CHECK(parse_subject("O=Corp, CN=Corp Issuing CA").value() ==
        make_name("Corp Issuing CA", "Corp"));
}

TEST_CASE("what is no subject is refused with the part that is wrong") {
  struct Row {
    std::string text, says;
  };

  const Row rows[] = {{"", "is no part of a subject"},
                      {"Corp", "\"Corp\" is no part of a subject"},
                      {"X=1, CN=a", "\"X=1\" is no part"},
                      {"C=Germany, CN=a", "a country is two capital letters"},
                      {"C=de, CN=a", "a country is two capital letters"},
                      {"CN=", "cannot be the CN"},
                      {"CN=" + std::string(65, 'x'), "longer than 64 characters"},
                      {"CN=a\x01z", "has others than fit"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto subject = parse_subject(row.text);
    REQUIRE_FALSE(subject);
    CHECK_MESSAGE(subject.error().find(row.says) != std::string::npos, subject.error());
  }
}

TEST_CASE("the next CA has the old one's name but for the common name") {
  const Bytes old = parse_subject("C=DE, O=Corp, CN=Corp CA").value();
  CHECK(printed(with_common_name(old, "Corp CA 2")) == "C=DE, O=Corp, CN=Corp CA 2");
  CHECK(printed(with_common_name(parse_subject("CN=a, CN=b, O=c").value(), "d")) ==
        "CN=a, CN=d, O=c");
  CHECK(printed(with_common_name(parse_subject("O=Corp").value(), "CA")) == "O=Corp, CN=CA");
}

}  // namespace
}  // namespace gatehouse::crypto
