#include "acme-server/crypto/crl.h"

#include <doctest/doctest.h>
#include <openssl/x509v3.h>

#include "acme-server/base/check.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/openssl.h"
#include "tests/support/test_ca.h"

namespace gatehouse::crypto {
namespace {

using namespace testing;
using Kind = TestKey::Kind;

CrlHead head_of(const TestCa& ca) {
  return {.issuer_name_der = ca.certificate.subject_name_der,
          .authority_key_id = ca.certificate.subject_key_id,
          .number = 1'780'315'200'000'000,
          .this_update = kNoon,
          .next_update = kNoon + 7 * kDay,
          .distribution_point = "http://ca.test/crl/0.crl"};
}

CrlHandle openssl_reads(const Bytes& der) {
  const std::uint8_t* at = der.data();
  CrlHandle crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  REQUIRE(crl);
  REQUIRE(at == der.data() + der.size());
  return crl;
}

TEST_CASE("a CRL under every kind of key verifies with OpenSSL and reads back as it was made") {
  for (const Kind kind : {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519}) {
    const TestKey key = TestKey::fixed(kind);
    const TestCa ca = TestCa::root(key);
    const std::vector<CrlEntry> entries = {
        {.serial = "01", .revoked_at = kNoon, .reason = 0},
        {.serial = "80", .revoked_at = kNoon + kDay, .reason = 1},
        {.serial = "7f00ff", .revoked_at = kNoon, .reason = 10}};
    CrlBuilder builder;
    for (const CrlEntry& entry : entries) builder.add(entry);
    const Bytes der = builder.finish(head_of(ca), *ca.signer);
    const CrlHandle crl = openssl_reads(der);
    CHECK(X509_CRL_verify(crl.get(), key.handle()) == 1);
    CHECK(X509_CRL_get_version(crl.get()) == X509_CRL_VERSION_2);
    CHECK(crl_is_signed_by(der, ca.certificate));
    CHECK_FALSE(crl_is_signed_by(der, TestCa::root(TestKey::generate(Kind::p256)).certificate));

    const auto read = parse_crl(der);
    REQUIRE(read);
    CHECK(read->entries == entries);
    CHECK(read->head.issuer_name_der == ca.certificate.subject_name_der);
    CHECK(read->head.authority_key_id == ca.certificate.subject_key_id);
    CHECK(read->head.number == head_of(ca).number);
    CHECK(read->head.this_update == kNoon);
    CHECK(read->head.next_update == kNoon + 7 * kDay);
    CHECK(read->head.distribution_point == "http://ca.test/crl/0.crl");
  }
}

TEST_CASE(
    "extensions: number not critical, distribution point critical, no reason where none was "
    "given") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CrlBuilder builder;
  builder.add({.serial = "01", .revoked_at = kNoon, .reason = 0});
  builder.add({.serial = "02", .revoked_at = kNoon, .reason = 4});
  const CrlHandle crl = openssl_reads(builder.finish(head_of(ca), *ca.signer));
  const auto critical = [&](int nid) {
    const int at = X509_CRL_get_ext_by_NID(crl.get(), nid, -1);
    REQUIRE(at >= 0);
    return X509_EXTENSION_get_critical(X509_CRL_get_ext(crl.get(), at)) == 1;
  };
  CHECK(critical(NID_issuing_distribution_point));
  CHECK_FALSE(critical(NID_crl_number));
  CHECK_FALSE(critical(NID_authority_key_identifier));
  STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(crl.get());
  CHECK(X509_REVOKED_get_ext_count(sk_X509_REVOKED_value(revoked, 0)) == 0);
  CHECK(X509_REVOKED_get_ext_count(sk_X509_REVOKED_value(revoked, 1)) == 1);
}

TEST_CASE("a root's CRL has no distribution point, and an empty CRL no list of entries") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CrlHead head = head_of(ca);
  head.distribution_point.clear();
  const Bytes der = CrlBuilder().finish(head, *ca.signer);
  const CrlHandle crl = openssl_reads(der);
  CHECK(X509_CRL_get_REVOKED(crl.get()) == nullptr);
  CHECK(X509_CRL_get_ext_by_NID(crl.get(), NID_issuing_distribution_point, -1) == -1);
  CHECK(X509_CRL_verify(crl.get(), TestKey::fixed(Kind::p256).handle()) == 1);
  const auto read = parse_crl(der);
  REQUIRE(read);
  CHECK(read->entries.empty());
  CHECK(read->head.distribution_point.empty());
}

TEST_CASE("100,000 entries are read back by OpenSSL and by us") {
  constexpr unsigned kEntries = 100'000;
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  SeededEntropy entropy;
  std::vector<CrlEntry> entries;
  CrlBuilder builder;
  for (unsigned i = 0; i < kEntries; ++i) {
    entries.push_back({.serial = hex_encode(random_serial(entropy)),
                       .revoked_at = kNoon - std::chrono::seconds(i),
                       .reason = static_cast<int>(i % 6)});
    builder.add(entries.back());
  }
  const Bytes der = builder.finish(head_of(ca), *ca.signer);
  CHECK(der.size() < kEntries * 60);
  const CrlHandle crl = openssl_reads(der);
  CHECK(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl.get())) == static_cast<int>(kEntries));
  CHECK(X509_CRL_verify(crl.get(), TestKey::fixed(Kind::p256).handle()) == 1);
  const auto read = parse_crl(der);
  REQUIRE(read);
  CHECK(read->entries == entries);
}

TEST_CASE("what is not a CRL of ours is refused") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CrlBuilder builder;
  builder.add({.serial = "01", .revoked_at = kNoon, .reason = 1});
  const Bytes good = builder.finish(head_of(ca), *ca.signer);
  CHECK_FALSE(parse_crl({}));
  CHECK_FALSE(parse_crl(ca.certificate.der));
  Bytes longer = good;
  longer.push_back(0);
  CHECK_FALSE(parse_crl(longer));
  CHECK_FALSE(crl_is_signed_by(longer, ca.certificate));
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_FALSE(parse_crl(ByteView(good).first(length)));
  for (std::size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    Bytes changed = good;
    changed[i] ^= 0x01U;
    CHECK_FALSE(crl_is_signed_by(changed, ca.certificate));
  }
}

TEST_CASE("an entry's extension without a whole identifier is refused, as by OpenSSL") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CrlBuilder builder;
  builder.add({.serial = "01", .revoked_at = kNoon, .reason = 1});
  const Bytes good = builder.finish(head_of(ca), *ca.signer);
  const Bytes reason_code = {0x06, 0x03, 0x55, 0x1d, 0x15};
  const auto at = std::ranges::search(good, reason_code).begin() - good.begin();
  REQUIRE(parse_crl(good));
  for (const Bytes& octets : {Bytes{0x55, 0x1d, 0x95}, Bytes{0x55, 0x80, 0x15}}) {
    Bytes changed = good;
    std::ranges::copy(octets, changed.begin() + at + 2);
    CHECK_FALSE(parse_crl(changed));
    const std::uint8_t* data = changed.data();
    CHECK(d2i_X509_CRL(nullptr, &data, static_cast<long>(changed.size())) == nullptr);
  }
}

TEST_CASE("a list of entries that OpenSSL takes and we do not is no CRL without entries") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CrlBuilder builder;
  builder.add({.serial = "7f", .revoked_at = kNoon, .reason = 0});
  Bytes crl = builder.finish(head_of(ca), *ca.signer);
  const Bytes serial = {0x02, 0x01, 0x7f};
  const auto at = std::ranges::search(crl, serial).begin() - 4;  // before list and entry
  REQUIRE(*at == der::kSequence);
  *at = 0x10;  // SEQUENCE, but primitive
  CHECK(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(openssl_reads(crl).get())) == 1);
  CHECK_FALSE(parse_crl(crl));
}

// A signer whose signatures are another key's: a token that lost its session, an HSM handle that
// moved.
class WrongKey final : public Signer {
 public:
  explicit WrongKey(Signer& says)
      : says_(says), signs_(load_signer(generate_private_key(NewKey::p256), Secret())) {}

  Bytes public_key() const override { return says_.public_key(); }

  Bytes algorithm() const override { return says_.algorithm(); }

  Bytes sign(ByteView message) override { return signs_->sign(message); }

 private:
  Signer& says_;
  std::unique_ptr<Signer> signs_;
};

TEST_CASE("a CRL that does not verify with the signer's own key is not handed out") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  WrongKey wrong(*ca.signer);
  CHECK_THROWS_AS(CrlBuilder().finish(head_of(ca), wrong), std::runtime_error);
}

TEST_CASE("entries and heads that no CRL can hold are faults of the caller") {
  const TestCa ca = TestCa::root(TestKey::fixed(Kind::p256));
  CrlBuilder builder;
  for (const int reason : {-1, 7, 8, 11}) {
    CHECK_THROWS_AS(builder.add({.serial = "01", .revoked_at = kNoon, .reason = reason}),
                    LogicError);
  }
  for (const char* serial : {"", "0", "xy", "0102030405060708090a0b0c0d0e0f101112131415"}) {
    CHECK_THROWS_AS(builder.add({.serial = serial, .revoked_at = kNoon, .reason = 0}), LogicError);
  }
  CrlHead head = head_of(ca);
  head.number = 0;
  CHECK_THROWS_AS(builder.finish(head, *ca.signer), LogicError);
  head = head_of(ca);
  head.next_update = head.this_update;
  CHECK_THROWS_AS(builder.finish(head, *ca.signer), LogicError);
}

}  // namespace
}  // namespace gatehouse::crypto
