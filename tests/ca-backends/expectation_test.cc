#include "ca-backends/expectation.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "tests/support/manual_clock.h"

namespace gatehouse::backends {
namespace {

using std::chrono::hours;
using testing::kNoon;

CertificateExpectation local_ca_style() {
  return {.spki_sha256 = "abc",
          .names = {{IdentifierType::dns, "*.a.test"}, {IdentifierType::ip, "2001:db8::1"}},
          .subject = "CN=a.test",
          .key_usages = ExpectedUsages{.required = {"digitalSignature"}, .allowed = {}},
          .extended_key_usages = ExpectedUsages{.required = {"serverAuth"}, .allowed = {"1.2.3"}},
          .serial = Exact<std::string>{"0a0b"},
          .not_before = Exact<Instant>{kNoon},
          .not_after = Exact<Instant>{kNoon + hours(24)},
          .crl_url = Exact<std::string>{"http://pki.test/0.crl"},
          .issuer = Exact<IssuerId>{IssuerId("issuer")}};
}

TEST_CASE("what is printed is read back the same, whatever it leaves open") {
  std::vector<CertificateExpectation> all(4, local_ca_style());
  all[1].serial = CaChooses();
  all[1].not_before = Range<Instant>{kNoon - hours(1), kNoon};
  all[1].not_after = CaChooses();
  all[1].crl_url = OneOf<std::string>{{"http://a.test", "http://b.test"}};
  all[1].issuer = OneOf<IssuerId>{{IssuerId("a"), IssuerId("b")}};
  all[2].crl_url = Absent();
  all[2].issuer = CaChooses();
  all[2].subject = "";
  all[3].subject.reset();
  all[3].key_usages.reset();
  all[3].extended_key_usages.reset();
  all[3].crl_url = CaChooses();
  for (const CertificateExpectation& each : all) {
    CAPTURE(print_expectation(each));
    CHECK(read_expectation(print_expectation(each)) == each);
  }
}

TEST_CASE("a text that is no expectation is refused") {
  const std::string good = print_expectation(local_ca_style());
  const auto with = [&](const std::string& part, const std::string& other) {
    std::string changed = good;
    const auto at = changed.find(part);
    REQUIRE(at != std::string::npos);
    return changed.replace(at, part.size(), other);
  };
  for (const std::string& bad :
       {std::string(), std::string("{}"), with("\"serial\"", "\"number\""),
        with("\"exact\":\"0a0b\"", "\"most\":\"0a0b\""), with("{\"exact\":\"0a0b\"}", "\"absent\""),
        with("dns:", "email:"), with("\"exact\":\"issuer\"", "\"exact\":7")}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_expectation(bad), JsonError);
  }
}

TEST_CASE("an expectation that nobody filled in fixes every fact to nothing") {
  const CertificateExpectation empty;
  CHECK(std::holds_alternative<Exact<std::string>>(empty.serial));
  CHECK(std::holds_alternative<Exact<Instant>>(empty.not_before));
  CHECK(std::holds_alternative<Exact<Instant>>(empty.not_after));
  CHECK(std::holds_alternative<Exact<std::string>>(empty.crl_url));
  CHECK(std::holds_alternative<Exact<IssuerId>>(empty.issuer));
  CHECK(empty.key_usages == ExpectedUsages());
  CHECK(empty.extended_key_usages == ExpectedUsages());
  CHECK(empty.subject == "");
}

TEST_CASE("the bounds and exact facts of an expectation can be asked for") {
  CertificateExpectation expectation = local_ca_style();
  CHECK(serial_of(expectation) == "0a0b");
  CHECK(issuer_of(expectation) == IssuerId("issuer"));
  CHECK(crl_url_of(expectation) == "http://pki.test/0.crl");
  CHECK(earliest_begin_of(expectation) == kNoon);
  CHECK(latest_end_of(expectation) == kNoon + hours(24));
  expectation.serial = CaChooses();
  expectation.issuer = OneOf<IssuerId>{{IssuerId("issuer")}};
  expectation.crl_url = Absent();
  expectation.not_before = Range<Instant>{kNoon - hours(2), kNoon};
  expectation.not_after = Range<Instant>{kNoon, kNoon + hours(2)};
  CHECK(serial_of(expectation).empty());
  CHECK(issuer_of(expectation).empty());
  CHECK(crl_url_of(expectation).empty());
  CHECK(earliest_begin_of(expectation) == kNoon - hours(2));
  CHECK(latest_end_of(expectation) == kNoon + hours(2));
}

TEST_CASE("an intent of schema 4 is expected as strictly as its time checked it") {
  const Schema4Intent intent{.spki_sha256 = "abc",
                             .names = {{IdentifierType::dns, "a.test"}},
                             .issuer = IssuerId("issuer"),
                             .serial = "0a0b",
                             .crl_url = "http://pki.test/0.crl",
                             .not_before = kNoon,
                             .not_after = kNoon + hours(24)};
  Profile profile;
  profile.key_usages = {"digitalSignature", "keyEncipherment"};
  const CertificateExpectation known = expectation_of_schema_4(intent, &profile);
  CHECK(known.spki_sha256 == "abc");
  CHECK(known.names == intent.names);
  CHECK(known.serial == ExpectedSerial(Exact<std::string>{"0a0b"}));
  CHECK(known.not_before == ExpectedDate(Exact<Instant>{kNoon}));
  CHECK(known.not_after == ExpectedDate(Exact<Instant>{kNoon + hours(24)}));
  CHECK(known.crl_url == ExpectedCrlUrl(Exact<std::string>{"http://pki.test/0.crl"}));
  CHECK(known.issuer == ExpectedIssuer(Exact<IssuerId>{IssuerId("issuer")}));
  CHECK(known.key_usages ==
        ExpectedUsages{.required = {"digitalSignature"}, .allowed = {"keyEncipherment"}});
  CHECK(known.extended_key_usages == ExpectedUsages{.required = {"serverAuth"}, .allowed = {}});

  const CertificateExpectation changed = expectation_of_schema_4(intent, nullptr);
  CHECK_FALSE(changed.key_usages);
  CHECK_FALSE(changed.extended_key_usages);
  Schema4Intent open = intent;
  open.serial.clear();
  open.crl_url.clear();
  CHECK(expectation_of_schema_4(open, nullptr).serial == ExpectedSerial(CaChooses()));
  CHECK(expectation_of_schema_4(open, nullptr).crl_url == ExpectedCrlUrl(Absent()));
}

}  // namespace
}  // namespace gatehouse::backends
