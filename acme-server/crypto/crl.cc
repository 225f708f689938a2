#include "acme-server/crypto/crl.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"
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

constexpr std::size_t kMaxSerial = 20;  // RFC 5280 section 5.2.3 by way of 4.1.2.2
// What stands round the entries: head, extensions, the largest signature. More than that is copied
// once.
constexpr std::size_t kRoundEntries = 16 * 1024;
// crlEntryExtensions with a reasonCode, whose value is the last octet.
constexpr std::array<std::uint8_t, 14> kReasonExtension = {
    0x30, 0x0C, 0x30, 0x0A, 0x06, 0x03, 0x55, 0x1D, 0x15, 0x04, 0x03, 0x0A, 0x01, 0x00};

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

// The parts of a CertificateList, RFC 5280 section 5.1, that we walk ourselves.
struct CrlParts {
  ByteView tbs;            // whole
  ByteView before, after;  // of the TBSCertList's content, what stands round the list of entries
  ByteView entries;        // the content of that list
  ByteView inner_algorithm, algorithm;  // whole, within the TBSCertList and behind it
  ByteView signature;                   // the BIT STRING, whole
};

std::optional<CrlParts> split_tbs(const der::Element& tbs, CrlParts parts) {
  der::Reader fields(tbs.content);
  const auto version = fields.next(der::kInteger);
  const auto algorithm = fields.next(der::kSequence);
  const auto issuer = fields.next(der::kSequence);
  const auto this_update = fields.next();
  if (!version || !algorithm || !issuer || !this_update) return std::nullopt;
  parts.inner_algorithm = algorithm->whole;
  ByteView last = this_update->whole;
  if (fields.next_is(V_ASN1_UTCTIME) || fields.next_is(V_ASN1_GENERALIZEDTIME)) {
    const auto next_update = fields.next();
    if (!next_update) return std::nullopt;
    last = next_update->whole;
  }
  auto end = static_cast<std::size_t>(last.data() + last.size() - tbs.content.data());
  parts.before = tbs.content.first(end);
  if (const auto entries = fields.next(der::kSequence)) {
    parts.entries = entries->content;
    end += entries->whole.size();
    // RFC 5280 section 5.1.2.6: "When there are no revoked certificates, the revoked certificates
    // list MUST be absent."
    if (parts.entries.empty()) return std::nullopt;
  }
  parts.after = tbs.content.subspan(end);
  return parts;
}

std::optional<CrlParts> split_crl(ByteView der) {
  der::Reader outer(der);
  const auto list = outer.next(der::kSequence);
  if (!list || !outer.done()) return std::nullopt;
  der::Reader fields(list->content);
  const auto tbs = fields.next(der::kSequence);
  const auto algorithm = fields.next(der::kSequence);
  const auto signature = fields.next(V_ASN1_BIT_STRING);
  if (!tbs || !algorithm || !signature || !fields.done()) return std::nullopt;
  return split_tbs(*tbs, {.tbs = tbs->whole,
                          .before = {},
                          .after = {},
                          .entries = {},
                          .inner_algorithm = {},
                          .algorithm = algorithm->whole,
                          .signature = signature->whole});
}

// OpenSSL decodes all but the entries: the CRL without them. (A million of its X509_REVOKED cost
// 380 MB and 15 s.)
CrlHandle decode_without_entries(const CrlParts& parts) {
  const Bytes der =
      der::sequence({der::sequence({parts.before, parts.after}), parts.algorithm, parts.signature});
  const std::uint8_t* at = der.data();
  CrlHandle crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  drain_openssl_errors();
  if (crl && at != der.data() + der.size()) return nullptr;
  // OpenSSL takes a list whose identifier is not DER; nobody has walked that one.
  if (crl && X509_CRL_get_REVOKED(crl.get()) != nullptr) return nullptr;
  return crl;
}

// The value of a reasonCode extension; nothing when it is no reason.
std::optional<int> read_reason(ByteView value) {
  der::Reader reader(value);
  const auto reason = reader.next(V_ASN1_ENUMERATED);
  if (!reason || !reader.done() || reason->content.size() != 1) return std::nullopt;
  const int number = reason->content[0];
  return is_reason(number) ? std::optional(number) : std::nullopt;
}

// X.690 section 8.19.2: a subidentifier begins with no 80, and ends before its field does.
bool is_object_identifier(ByteView content) {
  bool begins = true;
  for (const std::uint8_t octet : content) {
    if (begins && octet == 0x80) return false;
    begins = octet < 0x80;
  }
  return begins && !content.empty();
}

// The reason in an entry's extensions, 0 when they have none; nothing when they do not decode, one
// stands there twice, or a critical one is not known here.
std::optional<int> read_entry_extensions(ByteView list) {
  static const Bytes kReasonCodeOid = der::oid(kReasonCode);
  std::optional<int> reason;
  der::Reader extensions(list);
  if (extensions.done()) return std::nullopt;
  while (!extensions.done()) {
    const auto extension = extensions.next(der::kSequence);
    if (!extension) return std::nullopt;
    der::Reader fields(extension->content);
    const auto id = fields.next(V_ASN1_OBJECT);
    const auto critical = fields.next(V_ASN1_BOOLEAN);
    const auto value = fields.next(V_ASN1_OCTET_STRING);
    if (!id || !is_object_identifier(id->content) || !value || !fields.done()) return std::nullopt;
    // DEFAULT FALSE is not written down in DER, and TRUE is FF.
    if (critical && !std::ranges::equal(critical->whole, der::boolean_true())) return std::nullopt;
    if (!std::ranges::equal(id->whole, kReasonCodeOid)) {
      if (critical) return std::nullopt;
      continue;
    }
    if (reason) return std::nullopt;
    reason = read_reason(value->content);
    if (!reason) return std::nullopt;
  }
  return reason.value_or(0);
}

// One entry's content, put into `entry`, whose memory is used again. Why not, when it is none.
std::optional<std::string> read_entry(ByteView content, CrlEntry& entry) {
  der::Reader fields(content);
  const auto serial = fields.next(V_ASN1_INTEGER);
  const auto time = fields.next();
  if (!serial || serial->content.empty() || !time ||
      (time->tag != V_ASN1_UTCTIME && time->tag != V_ASN1_GENERALIZEDTIME)) {
    return "The CRL has an entry without a serial or a time";
  }
  ByteView magnitude = serial->content;
  if (magnitude.size() > 1 && magnitude[0] == 0) {
    magnitude = magnitude.subspan(1);
    if (magnitude[0] < 0x80) return "The CRL has an entry whose serial is not DER";
  } else if (magnitude[0] >= 0x80) {
    return "The CRL has an entry with a negative serial";
  }
  entry.serial = hex_encode(magnitude);
  const auto revoked_at = asn1::instant_of(time->tag, as_text(time->content));
  if (!revoked_at) return "The CRL's entry for " + entry.serial + " has no time";
  entry.revoked_at = *revoked_at;
  entry.reason = 0;
  if (!fields.done()) {
    const auto extensions = fields.next(der::kSequence);
    const auto reason =
        extensions && fields.done() ? read_entry_extensions(extensions->content) : std::nullopt;
    if (!reason) {
      return "The CRL's entry for " + entry.serial +
             " has a reason or an extension that cannot be read";
    }
    entry.reason = *reason;
  }
  return std::nullopt;
}

Expected<CrlSummary, std::string> walk(const std::optional<CrlParts>& parts,
                                       const std::function<void(const CrlEntry&)>& each) {
  const CrlHandle decoded = parts ? decode_without_entries(*parts) : nullptr;
  if (!decoded)
    return Unexpected{std::string("The CRL is not one X.509 CRL in DER with nothing behind it")};
  auto head = read_head(decoded.get());
  if (!head) return Unexpected{std::move(head).error()};
  CrlSummary summary{.head = std::move(*head), .entries = 0};
  CrlEntry entry;
  for (der::Reader list(parts->entries); !list.done(); ++summary.entries) {
    const auto element = list.next(der::kSequence);
    if (!element) return Unexpected{std::string("The CRL's list of entries is not DER")};
    if (auto problem = read_entry(element->content, entry)) return Unexpected{std::move(*problem)};
    each(entry);
  }
  return summary;
}

}  // namespace

void CrlBuilder::expect(std::size_t entries) {
  // An entry of a serial of 20 octets and a reason; and what stands round them all.
  constexpr std::size_t kEntry = 56;
  entries_.reserve(entries_.size() + entries * kEntry + kRoundEntries);
}

void CrlBuilder::add(const CrlEntry& entry) {
  ACME_CHECK(is_reason(entry.reason));
  const std::optional<Bytes> serial = hex_decode(entry.serial);
  ACME_CHECK(serial && !serial->empty() && serial->size() <= kMaxSerial);
  const Bytes number = der::integer(*serial);
  const Bytes time = der::time(entry.revoked_at);
  // RFC 5280 section 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using
  // the unspecified (0)".
  const std::size_t reason = entry.reason == 0 ? 0 : kReasonExtension.size();
  const std::size_t size = number.size() + time.size() + reason;
  static_assert(2 + kMaxSerial + 1 + 17 + kReasonExtension.size() < 0x80);
  entries_.push_back(der::kSequence);
  entries_.push_back(static_cast<std::uint8_t>(size));
  der::append(entries_, number);
  der::append(entries_, time);
  if (reason != 0) {
    der::append(entries_, kReasonExtension);
    entries_.back() = static_cast<std::uint8_t>(entry.reason);
  }
}

Bytes CrlBuilder::finish(const CrlHead& head, Signer& signer) {
  ACME_CHECK(head.number > 0 && head.this_update < head.next_update);
  const Bytes algorithm = signer.algorithm();
  const Bytes extensions = head_extensions(head);
  // The TBSCertList grows round the entries in their own buffer, and the CertificateList round
  // that: no second copy.
  Bytes crl = std::exchange(entries_, {});
  const Bytes before = tbs_before_entries(head, algorithm, crl.size(), extensions.size());
  crl.reserve(crl.size() + kRoundEntries + before.size() + extensions.size());
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
  Crl crl;
  auto summary = walk(split_crl(der), [&](const CrlEntry& entry) { crl.entries.push_back(entry); });
  if (!summary) return Unexpected{std::move(summary).error()};
  crl.head = std::move(summary->head);
  return crl;
}

Expected<CrlSummary, std::string> summarize_crl(ByteView der) {
  return walk(split_crl(der), [](const CrlEntry&) {});
}

Expected<CrlSummary, std::string> summarize_tbs_crl(ByteView tbs, ByteView algorithm) {
  constexpr std::array<std::uint8_t, 4> kNoSignature = {V_ASN1_BIT_STRING, 2, 0, 0};
  der::Reader reader(tbs);
  const auto list = reader.next(der::kSequence);
  auto parts = list && reader.done() ? split_tbs(*list, {.tbs = tbs,
                                                         .before = {},
                                                         .after = {},
                                                         .entries = {},
                                                         .inner_algorithm = {},
                                                         .algorithm = algorithm,
                                                         .signature = kNoSignature})
                                     : std::nullopt;
  // RFC 5280 section 5.1.2.2: "This field MUST contain the same algorithm identifier as the
  // signatureAlgorithm field".
  if (parts && !std::ranges::equal(parts->inner_algorithm, algorithm)) parts.reset();
  return walk(parts, [](const CrlEntry&) {});
}

bool crl_is_signed_by(ByteView crl, const Certificate& issuer) {
  const auto parts = split_crl(crl);
  const CrlHandle decoded = parts ? decode_without_entries(*parts) : nullptr;
  const std::optional<Jwk> key = jwk_of_spki(issuer.spki);
  if (!decoded || !key) return false;
  const ASN1_BIT_STRING* bits = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(decoded.get(), &bits, &algorithm);
  const auto signature = asn1::whole_octets(bits);
  return signature &&
         verify_x509_signature(parts->algorithm, *make_public_key(*key), parts->tbs, *signature);
}

std::optional<std::string> why_crl_unverifiable(ByteView crl) {
  const auto parts = split_crl(crl);
  return parts ? why_algorithm_refused(parts->algorithm) : std::nullopt;
}

}  // namespace gatehouse::crypto
