#include "acme-server/crypto/acme_certificate.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/digest.h"

namespace gatehouse::crypto {

namespace {

using Extensions = std::vector<asn1::Extension*>;
using Complaint = std::optional<std::string>;

constexpr std::string_view kSubjectAltNameOid = "2.5.29.17";
// Of drafts before RFC 8737; a CA that went on taking it had to revoke (2022).
constexpr std::string_view kDraftOid = "1.3.6.1.5.5.7.1.30.1";
constexpr std::uint8_t kDnsName = der::primitive_tag(2);  // RFC 5280 section 4.2.1.6
constexpr std::uint8_t kIpAddress = der::primitive_tag(7);
constexpr std::size_t kMaxShown = 100;  // characters of a name
constexpr std::size_t kMaxShownNames = 5;
constexpr std::size_t kMaxShownOctets = 40;  // of a wrong acmeIdentifier

const asn1::Extension* find(const Extensions& extensions, std::string_view oid) {
  const auto found = std::ranges::find_if(
      extensions, [&](const asn1::Extension* one) { return asn1::dotted(one->id) == oid; });
  return found == extensions.end() ? nullptr : *found;
}

std::string name_of(const AcmeCertificateTerms& terms) {
  return terms.address ? terms.address->to_string() : terms.dns_name;
}

// What the subjectAltName says, for people.
std::string names_in(const Certificate& certificate) {
  std::vector<std::string> names = certificate.dns_names;
  names.insert(names.end(), certificate.ip_addresses.begin(), certificate.ip_addresses.end());
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxShownNames); ++i)
    shown.push_back("\"" + sanitize(names[i], kMaxShown) + "\"");
  if (names.size() > kMaxShownNames)
    shown.push_back(std::to_string(names.size() - kMaxShownNames) + " more");
  if (certificate.has_other_names) shown.emplace_back("names of another type");
  return join(shown, ", ");
}

// RFC 8737 section 3: "containing the domain name being validated and no other entries".
Complaint why_wrong_name(const Extensions& extensions, const Certificate& certificate,
                         const AcmeCertificateTerms& terms) {
  const asn1::Extension* names = find(extensions, kSubjectAltNameOid);
  if (names == nullptr) {
    return "the certificate has no subjectAltName, where \"" + name_of(terms) + "\" must stand";
  }
  // "The comparison of dNSNames MUST be case insensitive": the form is compared, with the name as
  // it is written.
  const bool one = certificate.dns_names.size() == 1 &&
                   equals_ignoring_case(certificate.dns_names.front(), terms.dns_name);
  const Bytes expected =
      terms.address ? alternative_name_of(*terms.address)
                    : alternative_name_of(one ? certificate.dns_names.front() : terms.dns_name);
  if (std::ranges::equal(asn1::octets_of(names->value), expected)) return std::nullopt;
  return "the certificate's subjectAltName says " + names_in(certificate) + ", where \"" +
         name_of(terms) + "\" and nothing else must stand";
}

Complaint why_wrong_digest(const Extensions& extensions, const Sha256& digest) {
  const asn1::Extension* identifier = find(extensions, kAcmeIdentifierOid);
  const std::string oid(kAcmeIdentifierOid);
  if (identifier == nullptr) {
    if (find(extensions, kDraftOid) != nullptr) {
      return "the certificate has its acmeIdentifier under " + std::string(kDraftOid) +
             ", which drafts of RFC 8737 had, not under " + oid;
    }
    return "the certificate has no acmeIdentifier extension (" + oid +
           "), so it is not one made for this challenge";
  }
  if (identifier->critical == 0)
    return "the certificate's acmeIdentifier extension is not critical";
  const ByteView value = asn1::octets_of(identifier->value);
  if (std::ranges::equal(value, der::octet_string(digest))) return std::nullopt;
  const auto octets = asn1::decode<ASN1_OCTET_STRING_it, ASN1_OCTET_STRING>(value);
  if (!octets || asn1::octets_of(octets.get()).size() != digest.size()) {
    return "the certificate's acmeIdentifier is " +
           hex_encode(value.first(std::min(value.size(), kMaxShownOctets))) +
           (value.size() > kMaxShownOctets ? "…" : "") +
           " in hex, not an OCTET STRING of the 32 octets of a SHA-256 digest";
  }
  return "the certificate's acmeIdentifier is the digest " +
         hex_encode(asn1::octets_of(octets.get())) + ", but " + hex_encode(digest) +
         " was expected, the SHA-256 of the key authorization";
}

Complaint why_not_self_signed(const Certificate& certificate) {
  if (certificate.issuer_name_der != certificate.subject_name_der) {
    return "the certificate is not self-signed: its issuer \"" +
           sanitize(certificate.issuer_name, kMaxShown) + "\" is not its subject \"" +
           sanitize(certificate.subject_name, kMaxShown) + "\"";
  }
  if (!is_signed_by(certificate, certificate)) {
    return "the certificate is not self-signed: its signature does not verify with its own key "
           "(RSA, P-256, P-384, P-521 or Ed25519, with SHA-256 or better)";
  }
  return std::nullopt;
}

}  // namespace

Bytes alternative_name_of(std::string_view dns_name) {
  return der::sequence({der::element(kDnsName, as_bytes(dns_name))});
}

Bytes alternative_name_of(const IpAddress& address) {
  return der::sequence({der::element(kIpAddress, address.bytes())});
}

std::optional<std::string> why_not_acme_certificate(ByteView der,
                                                    const AcmeCertificateTerms& terms) {
  const auto certificate = parse_certificate(der);
  if (!certificate) {
    std::string sentence = certificate.error();
    if (sentence.starts_with("The ")) sentence[0] = 't';
    return sentence;
  }
  // parse_certificate has decoded it and found no extension twice.
  const auto decoded = asn1::decode<asn1::SignedCertificate::item, asn1::SignedCertificate>(der);
  const Extensions extensions = asn1::elements<asn1::Extension>(decoded->tbs->extensions);
  // The acmeIdentifier first: without it, whatever else is wrong is beside the point.
  if (auto complaint = why_wrong_digest(extensions, terms.digest)) return complaint;
  if (auto complaint = why_wrong_name(extensions, *certificate, terms)) return complaint;
  return why_not_self_signed(*certificate);
}

}  // namespace gatehouse::crypto
