// ChallengeCertificate: the certificate of a tls-alpn-01 challenge (RFC 8737 section 3) part by
// part, so that each part can be wrong.
#pragma once

#include <string_view>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/crypto/acme_certificate.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/issue.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_keys.h"

namespace gatehouse::testing {

inline constexpr std::string_view kSanOid = "2.5.29.17";
inline constexpr std::uint8_t kDnsNameTag = 0x82;  // GeneralName (RFC 5280 section 4.2.1.6)
inline constexpr std::uint8_t kEmailTag = 0x81;
inline constexpr std::uint8_t kUriTag = 0x86;
inline constexpr std::uint8_t kIpTag = 0x87;

inline Bytes plain_extension(std::string_view oid, const Bytes& value) {
  return crypto::der::sequence({crypto::der::oid(oid), crypto::der::octet_string(value)});
}

inline Bytes critical_extension(std::string_view oid, const Bytes& value) {
  return crypto::der::sequence(
      {crypto::der::oid(oid), crypto::der::boolean_true(), crypto::der::octet_string(value)});
}

inline Bytes general_name(std::uint8_t tag, std::string_view content) {
  return crypto::der::element(tag, as_bytes(content));
}

// A subjectAltName extension of these names.
inline Bytes san_of(const std::vector<Bytes>& names) {
  Bytes content;
  for (const Bytes& name : names) crypto::der::append(content, name);
  return plain_extension(kSanOid, crypto::der::element(crypto::der::kSequence, content));
}

inline Bytes signature_algorithm_of(TestKey::Kind kind) {
  using namespace crypto;
  switch (kind) {
    case TestKey::Kind::rsa2048:
      return der::sequence({der::oid("1.2.840.113549.1.1.11"), der::null()});
    case TestKey::Kind::p256:
      return der::sequence({der::oid("1.2.840.10045.4.3.2")});
    case TestKey::Kind::p384:
      return der::sequence({der::oid("1.2.840.10045.4.3.3")});
    case TestKey::Kind::p521:
      return der::sequence({der::oid("1.2.840.10045.4.3.4")});
    case TestKey::Kind::ed25519:
      return der::sequence({der::oid("1.3.101.112")});
  }
  throw std::logic_error("no such kind of key");
}

struct ChallengeCertificate {
  TestKey key = TestKey::fixed(TestKey::Kind::p256);
  TestKey signer = key;
  Bytes version =
      crypto::der::element(crypto::der::constructed_tag(0), crypto::der::integer(std::uint64_t{2}));
  Bytes serial = crypto::der::integer(std::uint64_t{1});
  Bytes algorithm = signature_algorithm_of(TestKey::Kind::p256);
  Bytes outer_algorithm = algorithm;
  Bytes issuer = crypto::make_name("ACME challenge", "");
  Bytes subject = issuer;
  Bytes not_before = crypto::der::time(kNoon);
  Bytes not_after = crypto::der::time(kNoon + std::chrono::days(7));
  std::vector<Bytes> extensions;
  bool broken_signature = false;

  // One that proves `san` (an extension) and `digest`.
  static ChallengeCertificate of(Bytes san, const crypto::Sha256& digest,
                                 TestKey::Kind kind = TestKey::Kind::p256) {
    ChallengeCertificate made;
    made.key = made.signer = TestKey::fixed(kind);
    made.algorithm = made.outer_algorithm = signature_algorithm_of(kind);
    made.extensions = {std::move(san), critical_extension(crypto::kAcmeIdentifierOid,
                                                          crypto::der::octet_string(digest))};
    return made;
  }

  static ChallengeCertificate of(std::string_view dns_name, const crypto::Sha256& digest,
                                 TestKey::Kind kind = TestKey::Kind::p256) {
    return of(san_of({general_name(kDnsNameTag, dns_name)}), digest, kind);
  }

  static ChallengeCertificate of(const IpAddress& address, const crypto::Sha256& digest) {
    return of(san_of({general_name(kIpTag, as_text(address.bytes()))}), digest);
  }

  Bytes der() const {
    using namespace crypto;
    Bytes list;
    for (const Bytes& extension : extensions) der::append(list, extension);
    const Bytes tbs = der::sequence(
        {version, serial, algorithm, issuer, der::sequence({not_before, not_after}), subject,
         key.spki(),
         list.empty() ? Bytes()
                      : der::element(der::constructed_tag(3), der::element(der::kSequence, list))});
    Bytes signature = signer.sign_der(as_text(tbs));
    if (broken_signature) signature.back() ^= 1;
    return der::sequence({tbs, outer_algorithm, der::bit_string(signature)});
  }
};

}  // namespace gatehouse::testing
