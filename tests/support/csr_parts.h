// A PKCS#10 request put together part by part, so that a test can make any part wrong: for crypto's
// tests.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/der.h"
#include "tests/support/test_keys.h"

namespace gatehouse::testing {

namespace der = crypto::der;

inline Bytes dns_name(std::string_view text) {
  return der::element(der::primitive_tag(2), as_bytes(text));
}

inline Bytes make_extension(std::string_view oid, const Bytes& value) {
  return der::sequence({der::oid(oid), der::octet_string(value)});
}

inline Bytes alternative_names(const Bytes& names) {
  return make_extension("2.5.29.17", der::element(der::kSequence, names));
}

// An attribute with one value, a list of extensions.
inline Bytes extension_request(const Bytes& extensions,
                               std::string_view oid = "1.2.840.113549.1.9.14") {
  return der::sequence({der::oid(oid), der::set({der::element(der::kSequence, extensions)})});
}

inline Bytes common_name(const Bytes& text_element) {
  return der::set({der::sequence({der::oid("2.5.4.3"), text_element})});
}

struct CsrParts {
  TestKey key = TestKey::fixed(TestKey::Kind::p256);
  TestKey signed_by = key;
  Bytes version = der::integer(std::uint64_t{0});
  Bytes subject = der::sequence({});
  Bytes spki = key.spki();
  Bytes attributes = extension_request(alternative_names(dns_name("a.test")));  // without the [0]
  Bytes algorithm = der::sequence({der::oid("1.2.840.10045.4.3.2")});           // ecdsa-with-SHA256
  const EVP_MD* digest = EVP_sha256();

  Bytes info() const {
    return der::sequence(
        {version, subject, spki, der::element(der::constructed_tag(0), attributes)});
  }

  // Signs the info whatever it is: only the part that a test spoils is wrong.
  Bytes csr() const {
    const Bytes signed_part = info();
    const Bytes signature = signed_by.sign_der_with(digest, as_text(signed_part));
    return der::sequence({signed_part, algorithm, der::bit_string(signature)});
  }
};

}  // namespace gatehouse::testing
