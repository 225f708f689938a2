#include "acme-server/crypto/crl.h"

#include <openssl/x509v3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/openssl.h"
#include "acme-server/crypto/public_key.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::crypto {

namespace {

constexpr std::string_view kReasonCode = "2.5.29.21";
constexpr std::string_view kAuthorityKeyId = "2.5.29.35";
constexpr std::string_view kCrlNumber = "2.5.29.20";
constexpr std::string_view kIssuingDistributionPoint = "2.5.29.28";

// RFC 5280 section 5.3.1: 7 is not used, and no entry of a complete CRL is removeFromCRL (8).
bool is_reason(int reason) {
  return reason >= 0 && reason <= 10 && reason != 7 && reason != 8;
}

Bytes head_extensions(const CrlHead& head) {
  Bytes list = der::sequence({der::oid(kAuthorityKeyId),
                              der::octet_string(der::sequence(
                                  {der::element(der::primitive_tag(0), head.authority_key_id)}))});
  der::append(
      list,
      der::sequence({der::oid(kCrlNumber),
                     der::octet_string(der::integer(static_cast<std::uint64_t>(head.number)))}));
  if (!head.distribution_point.empty()) {
    const Bytes url = der::element(der::primitive_tag(6), as_bytes(head.distribution_point));
    const Bytes full_name = der::element(der::constructed_tag(0), url);
    const Bytes point = der::sequence({der::element(der::constructed_tag(0), full_name)});
    // RFC 5280 section 5.2.5: "The issuing distribution point is a critical CRL extension".
    der::append(list, der::sequence({der::oid(kIssuingDistributionPoint), der::boolean_true(),
                                     der::octet_string(point)}));
  }
  return der::element(der::constructed_tag(0), der::element(der::kSequence, list));
}

// What stands before the entries in a TBSCertList; its own header too, for `after` more octets
// behind it.
Bytes tbs_before_entries(const CrlHead& head, ByteView algorithm, std::size_t entries,
                         std::size_t after) {
  const Bytes list_header = entries == 0 ? Bytes() : der::header(der::kSequence, entries);
  const Bytes fields =
      der::concat({der::integer(std::uint64_t{1}), algorithm, head.issuer_name_der,
                   der::time(head.this_update), der::time(head.next_update), list_header});
  return der::concat({der::header(der::kSequence, fields.size() + entries + after), fields});
}

Bytes serial_of(const std::string& hex) {
  std::optional<Bytes> octets = hex_decode(hex);
  ACME_CHECK(octets && !octets->empty() && octets->size() <= 20);
  return std::move(*octets);
}

// A CRL extension's decoded value: null when it is not there, nothing when it is there twice or
// does not decode.
template <class T, auto Free>
std::optional<std::unique_ptr<T, FreeWith<Free>>> extension_of(const X509_CRL* crl, int nid) {
  int critical = -1;
  std::unique_ptr<T, FreeWith<Free>> value(
      static_cast<T*>(X509_CRL_get_ext_d2i(crl, nid, &critical, nullptr)));
  drain_openssl_errors();
  if (!value && critical != -1) return std::nullopt;
  return value;
}

// The one URL of an issuingDistributionPoint that says nothing else; nothing when it says something
// else.
std::optional<std::string> only_url(const ISSUING_DIST_POINT& point) {
  const bool plain = point.onlyuser <= 0 && point.onlyCA <= 0 && point.indirectCRL <= 0 &&
                     point.onlyattr <= 0 && point.onlysomereasons == nullptr;
  if (!plain || point.distpoint == nullptr || point.distpoint->type != 0) return std::nullopt;
  const GENERAL_NAMES* names = point.distpoint->name.fullname;
  if (sk_GENERAL_NAME_num(names) != 1) return std::nullopt;
  const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, 0);
  if (name->type != GEN_URI) return std::nullopt;
  return std::string(as_text(asn1::octets_of(name->d.uniformResourceIdentifier)));
}

Expected<CrlHead, std::string> read_head(const X509_CRL* crl) {
  CrlHead head;
  head.issuer_name_der = asn1::encode(X509_CRL_get_issuer(crl), ASN1_ITEM_rptr(X509_NAME));
  const auto this_update = asn1::instant_of(X509_CRL_get0_lastUpdate(crl));
  const ASN1_TIME* next = X509_CRL_get0_nextUpdate(crl);
  const auto next_update = next == nullptr ? std::nullopt : asn1::instant_of(next);
  if (!this_update || !next_update)
    return Unexpected{std::string("The CRL's thisUpdate or nextUpdate is missing or no time")};
  head.this_update = *this_update;
  head.next_update = *next_update;

  const auto key_id =
      extension_of<AUTHORITY_KEYID, AUTHORITY_KEYID_free>(crl, NID_authority_key_identifier);
  if (!key_id) return Unexpected{std::string("The CRL's authorityKeyIdentifier cannot be read")};
  if (*key_id && (*key_id)->keyid != nullptr) {
    const ByteView octets = asn1::octets_of((*key_id)->keyid);
    head.authority_key_id.assign(octets.begin(), octets.end());
  }
  const auto number = extension_of<ASN1_INTEGER, ASN1_INTEGER_free>(crl, NID_crl_number);
  if (!number || !*number || ASN1_INTEGER_get_int64(&head.number, number->get()) != 1 ||
      head.number < 0) {
    return Unexpected{std::string("The CRL's number is missing or not a number of 63 bits")};
  }
  const auto point = extension_of<ISSUING_DIST_POINT, ISSUING_DIST_POINT_free>(
      crl, NID_issuing_distribution_point);
  if (!point) return Unexpected{std::string("The CRL's issuingDistributionPoint cannot be read")};
  if (*point) {
    std::optional<std::string> url = only_url(**point);
    if (!url)
      return Unexpected{std::string("The CRL's issuingDistributionPoint is not a single URL")};
    head.distribution_point = std::move(*url);
  }
  return head;
}

Expected<CrlEntry, std::string> read_entry(const X509_REVOKED* revoked) {
  CrlEntry entry;
  const ASN1_INTEGER* serial = X509_REVOKED_get0_serialNumber(revoked);
  entry.serial = hex_encode(asn1::octets_of(serial));
  const auto revoked_at = asn1::instant_of(X509_REVOKED_get0_revocationDate(revoked));
  if (!revoked_at || ASN1_STRING_type(serial) != V_ASN1_INTEGER) {
    return Unexpected{"The CRL's entry for " + entry.serial + " has a negative serial or no time"};
  }
  entry.revoked_at = *revoked_at;
  int critical = -1;
  const std::unique_ptr<ASN1_ENUMERATED, FreeWith<ASN1_ENUMERATED_free>> reason(
      static_cast<ASN1_ENUMERATED*>(
          X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, &critical, nullptr)));
  if (!reason && critical != -1)
    return Unexpected{"The CRL's entry for " + entry.serial + " has a reason that cannot be read"};
  if (reason) entry.reason = static_cast<int>(ASN1_ENUMERATED_get(reason.get()));
  if (!is_reason(entry.reason))
    return Unexpected{"The CRL's entry for " + entry.serial + " has an unknown reason"};
  return entry;
}

CrlHandle decode_crl(ByteView der) {
  const std::uint8_t* at = der.data();
  CrlHandle crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  drain_openssl_errors();
  if (crl && at != der.data() + der.size()) return nullptr;
  return crl;
}

}  // namespace

void CrlBuilder::add(const CrlEntry& entry) {
  ACME_CHECK(is_reason(entry.reason));
  Bytes extensions;
  // RFC 5280 section 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using
  // the unspecified (0)".
  if (entry.reason != 0) {
    const Bytes reason =
        der::octet_string(der::enumerated(static_cast<std::uint8_t>(entry.reason)));
    extensions = der::sequence({der::sequence({der::oid(kReasonCode), reason})});
  }
  der::append(entries_, der::sequence({der::integer(serial_of(entry.serial)),
                                       der::time(entry.revoked_at), extensions}));
}

Bytes CrlBuilder::finish(const CrlHead& head, Signer& signer) {
  ACME_CHECK(head.number > 0 && head.this_update < head.next_update);
  const Bytes algorithm = signer.algorithm();
  const Bytes extensions = head_extensions(head);
  // The TBSCertList grows round the entries in their own buffer, and the CertificateList round
  // that: no second copy.
  Bytes crl = std::exchange(entries_, {});
  const Bytes before = tbs_before_entries(head, algorithm, crl.size(), extensions.size());
  crl.reserve(crl.size() + before.size() + extensions.size() + 2048);
  crl.insert(crl.begin(), before.begin(), before.end());
  der::append(crl, extensions);

  const Bytes signature = signer.sign(crl);
  const auto key = read_spki(signer.public_key());
  if (!key || !verify_x509_signature(algorithm, *make_public_key(*key), crl, signature)) {
    throw std::runtime_error(
        "the CRL's signature does not verify with the signer's own public key; look at the key");
  }
  der::append(crl, algorithm);
  der::append(crl, der::bit_string(signature));
  const Bytes outer = der::header(der::kSequence, crl.size());
  crl.insert(crl.begin(), outer.begin(), outer.end());
  return crl;
}

Expected<Crl, std::string> parse_crl(ByteView der) {
  const CrlHandle decoded = decode_crl(der);
  if (!decoded)
    return Unexpected{std::string("The CRL is not one X.509 CRL in DER with nothing behind it")};
  auto head = read_head(decoded.get());
  if (!head) return Unexpected{std::move(head).error()};
  Crl crl{.head = std::move(*head), .entries = {}};
  STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(decoded.get());
  for (int i = 0; i < sk_X509_REVOKED_num(revoked); ++i) {
    auto entry = read_entry(sk_X509_REVOKED_value(revoked, i));
    if (!entry) return Unexpected{std::move(entry).error()};
    crl.entries.push_back(std::move(*entry));
  }
  return crl;
}

bool crl_is_signed_by(ByteView crl, const Certificate& issuer) {
  const CrlHandle decoded = decode_crl(crl);
  const std::optional<Jwk> key = jwk_of_spki(issuer.spki);
  if (!decoded || !key) return false;
  const ASN1_BIT_STRING* bits = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(decoded.get(), &bits, &algorithm);
  const auto signature = asn1::whole_octets(bits);
  return signature &&
         verify_x509_signature(asn1::encode(algorithm, ASN1_ITEM_rptr(X509_ALGOR)),
                               *make_public_key(*key), asn1::first_element(crl), *signature);
}

}  // namespace gatehouse::crypto
