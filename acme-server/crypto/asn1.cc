#include "acme-server/crypto/asn1.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/ascii.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto::asn1 {

namespace {

// clang-format off
ASN1_SEQUENCE(NameAttribute) = {
  ASN1_SIMPLE(NameAttribute, type, ASN1_OBJECT),
  ASN1_SIMPLE(NameAttribute, value, ASN1_ANY)
} static_ASN1_SEQUENCE_END(NameAttribute)

ASN1_ITEM_TEMPLATE(RelativeName) =
  ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SET_OF, 0, RelativeName, NameAttribute)
static_ASN1_ITEM_TEMPLATE_END(RelativeName)

ASN1_ITEM_TEMPLATE(Name) =
  ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SEQUENCE_OF, 0, Name, RelativeName)
static_ASN1_ITEM_TEMPLATE_END(Name)

ASN1_SEQUENCE(SubjectPublicKeyInfo) = {
  ASN1_SIMPLE(SubjectPublicKeyInfo, algorithm, X509_ALGOR),
  ASN1_SIMPLE(SubjectPublicKeyInfo, key, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(SubjectPublicKeyInfo)

ASN1_SEQUENCE(RsaPublicKey) = {
  ASN1_SIMPLE(RsaPublicKey, modulus, ASN1_INTEGER),
  ASN1_SIMPLE(RsaPublicKey, exponent, ASN1_INTEGER)
} static_ASN1_SEQUENCE_END(RsaPublicKey)

ASN1_SEQUENCE(Extension) = {
  ASN1_SIMPLE(Extension, id, ASN1_OBJECT),
  ASN1_OPT(Extension, critical, ASN1_FBOOLEAN),
  ASN1_SIMPLE(Extension, value, ASN1_OCTET_STRING)
} static_ASN1_SEQUENCE_END(Extension)

ASN1_ITEM_TEMPLATE(Extensions) =
  ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SEQUENCE_OF, 0, Extensions, Extension)
static_ASN1_ITEM_TEMPLATE_END(Extensions)

// Attributes and their values are read as sequences, the values under a set's tag, so that they stay
// in the order they came in: DER sorts the members of a SET OF (X.690 section 11.6), some clients do
// not, and nothing depends on it. What a request says is copied nowhere.
ASN1_SEQUENCE(Attribute) = {
  ASN1_SIMPLE(Attribute, id, ASN1_OBJECT),
  ASN1_EX_TYPE(ASN1_TFLG_SEQUENCE_OF | ASN1_TFLG_IMPTAG | ASN1_TFLG_UNIVERSAL, V_ASN1_SET,
               Attribute, values, ASN1_ANY)
} static_ASN1_SEQUENCE_END(Attribute)

ASN1_SEQUENCE(CertificationRequestInfo) = {
  ASN1_SIMPLE(CertificationRequestInfo, version, ASN1_INTEGER),
  ASN1_SIMPLE(CertificationRequestInfo, subject, Name),
  ASN1_SIMPLE(CertificationRequestInfo, key, SubjectPublicKeyInfo),
  ASN1_IMP_SEQUENCE_OF_OPT(CertificationRequestInfo, attributes, Attribute, 0)
} static_ASN1_SEQUENCE_END(CertificationRequestInfo)

ASN1_SEQUENCE(CertificationRequest) = {
  ASN1_SIMPLE(CertificationRequest, info, CertificationRequestInfo),
  ASN1_SIMPLE(CertificationRequest, algorithm, X509_ALGOR),
  ASN1_SIMPLE(CertificationRequest, signature, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(CertificationRequest)

ASN1_SEQUENCE(TbsCertificate) = {
  ASN1_EXP_OPT(TbsCertificate, version, ASN1_INTEGER, 0),
  ASN1_SIMPLE(TbsCertificate, serial, ASN1_INTEGER),
  ASN1_SIMPLE(TbsCertificate, algorithm, X509_ALGOR),
  ASN1_SIMPLE(TbsCertificate, issuer, Name),
  ASN1_SIMPLE(TbsCertificate, validity, X509_VAL),
  ASN1_SIMPLE(TbsCertificate, subject, Name),
  ASN1_SIMPLE(TbsCertificate, key, SubjectPublicKeyInfo),
  ASN1_IMP_OPT(TbsCertificate, issuer_unique_id, ASN1_BIT_STRING, 1),
  ASN1_IMP_OPT(TbsCertificate, subject_unique_id, ASN1_BIT_STRING, 2),
  ASN1_EXP_SEQUENCE_OF_OPT(TbsCertificate, extensions, Extension, 3)
} static_ASN1_SEQUENCE_END(TbsCertificate)

ASN1_SEQUENCE(SignedCertificate) = {
  ASN1_SIMPLE(SignedCertificate, tbs, TbsCertificate),
  ASN1_SIMPLE(SignedCertificate, algorithm, X509_ALGOR),
  ASN1_SIMPLE(SignedCertificate, signature, ASN1_BIT_STRING)
} static_ASN1_SEQUENCE_END(SignedCertificate)
    // clang-format on

    // Two digits at `at`; -1 when they are not digits.
    int two_digits(std::string_view text, std::size_t at) {
  const auto digit = [&](std::size_t i) { return is_digit(text[i]) ? text[i] - '0' : -100; };
  return std::max(-1, digit(at) * 10 + digit(at + 1));
}

}  // namespace

const ASN1_ITEM* extensions_item() {
  return Extensions_it();
}

const ASN1_ITEM* RsaPublicKey::item() {
  return RsaPublicKey_it();
}

const ASN1_ITEM* CertificationRequest::item() {
  return CertificationRequest_it();
}

const ASN1_ITEM* SignedCertificate::item() {
  return SignedCertificate_it();
}

void* decode_exactly(ByteView der, const ASN1_ITEM* item) {
  if (der.empty() || der.size() > INT_MAX) return nullptr;
  const std::uint8_t* at = der.data();
  ASN1_VALUE* value = ASN1_item_d2i(nullptr, &at, static_cast<long>(der.size()), item);
  if (value == nullptr) {
    drain_openssl_errors();
    return nullptr;
  }
  if (at == der.data() + der.size() && std::ranges::equal(encode(value, item), der)) return value;
  ASN1_item_free(value, item);
  return nullptr;
}

Bytes encode(const void* value, const ASN1_ITEM* item) {
  const auto* typed = static_cast<const ASN1_VALUE*>(value);
  const int size = ASN1_item_i2d(typed, nullptr, item);
  if (size < 0) {
    drain_openssl_errors();
    return {};
  }
  Bytes der(static_cast<std::size_t>(size));
  std::uint8_t* at = der.data();
  ASN1_item_i2d(typed, &at, item);
  return der;
}

ByteView octets_of(const ASN1_STRING* text) {
  return {ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::optional<ByteView> whole_octets(const ASN1_BIT_STRING* bits) {
  // The number of spare bits stands in the lowest three flags.
  if ((bits->flags & 0x07) != 0) return std::nullopt;
  return octets_of(bits);
}

std::optional<Instant> instant_of(const ASN1_TIME* time) {
  return instant_of(ASN1_STRING_type(time), as_text(octets_of(time)));
}

std::optional<Instant> instant_of(int tag, std::string_view text) {
  using namespace std::chrono;
  const bool utc = tag == V_ASN1_UTCTIME;
  const std::size_t year_digits = utc ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z') return std::nullopt;

  std::array<int, 7> pairs{};  // century first
  const std::size_t skipped = utc ? 1 : 0;
  for (std::size_t i = skipped; i < pairs.size(); ++i) {
    pairs.at(i) = two_digits(text, 2 * (i - skipped));
    if (pairs.at(i) < 0) return std::nullopt;
  }
  // RFC 5280 section 4.1.2.5.1: 50 and above is 19xx.
  if (utc) pairs[0] = pairs[1] >= 50 ? 19 : 20;

  const year_month_day date(year(pairs[0] * 100 + pairs[1]), month(static_cast<unsigned>(pairs[2])),
                            day(static_cast<unsigned>(pairs[3])));
  if (!date.ok() || pairs[4] > 23 || pairs[5] > 59 || pairs[6] > 59) return std::nullopt;
  return sys_days(date) + hours(pairs[4]) + minutes(pairs[5]) + seconds(pairs[6]);
}

std::string dotted(const ASN1_OBJECT* id) {
  const int size = OBJ_obj2txt(nullptr, 0, id, 1);
  if (size <= 0) {
    drain_openssl_errors();
    return {};
  }
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  OBJ_obj2txt(text.data(), size + 1, id, 1);
  text.pop_back();
  return text;
}

bool is_der_boolean(ASN1_BOOLEAN value) {
  return value == 0 || value == 0xFF;
}

}  // namespace gatehouse::crypto::asn1
