#include "acme-server/crypto/issue.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/ascii.h"
#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/signer.h"

namespace gatehouse::crypto {

namespace {

using Named = std::pair<std::string_view, std::string_view>;

// RFC 5280 section 4.2.1.3, in the order of their bits.
constexpr std::array<std::string_view, 9> kKeyUsages = {
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
    "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly"};

constexpr std::array<Named, 3> kExtendedKeyUsages = {{
    {"serverAuth", "1.3.6.1.5.5.7.3.1"},
    {"clientAuth", "1.3.6.1.5.5.7.3.2"},
    {"OCSPSigning", "1.3.6.1.5.5.7.3.9"},
}};

constexpr std::string_view kOrganization = "2.5.4.10";
constexpr std::string_view kCommonName = "2.5.4.3";
constexpr std::string_view kBasicConstraints = "2.5.29.19";
constexpr std::string_view kKeyUsage = "2.5.29.15";
constexpr std::string_view kExtendedKeyUsage = "2.5.29.37";
constexpr std::string_view kSubjectKeyId = "2.5.29.14";
constexpr std::string_view kAuthorityKeyId = "2.5.29.35";
constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::string_view kCrlDistributionPoints = "2.5.29.31";
constexpr std::string_view kAuthorityInfoAccess = "1.3.6.1.5.5.7.1.1";
constexpr std::string_view kNameConstraints = "2.5.29.30";
constexpr std::string_view kExtensionRequest = "1.2.840.113549.1.9.14";  // RFC 2985
constexpr std::string_view kCaIssuers = "1.3.6.1.5.5.7.48.2";
constexpr std::string_view kOcsp = "1.3.6.1.5.5.7.48.1";

constexpr std::size_t kMaxNameCharacters =
    64;  // RFC 5280 appendix A.1: ub-common-name, ub-organization-name
constexpr std::size_t kSubjectKeyIdBytes = 20;
constexpr std::size_t kMaxSerialBytes = 20;  // RFC 5280 section 4.1.2.2
constexpr std::size_t kSerialBytes = 18;

// GeneralName's context tags (RFC 5280 section 4.2.1.6).
constexpr std::uint8_t kDnsName = der::primitive_tag(2);
constexpr std::uint8_t kUri = der::primitive_tag(6);
constexpr std::uint8_t kIpAddress = der::primitive_tag(7);

enum class Critical { no, yes };

Bytes extension(std::string_view oid, Critical critical, ByteView value) {
  const Bytes flag = critical == Critical::yes ? der::boolean_true()
                                               : Bytes();  // DER leaves FALSE, the default, out
  return der::sequence({der::oid(oid), flag, der::octet_string(value)});
}

// An IA5String-like element; what is not printable ASCII would be read differently by different
// readers.
Bytes ascii(std::uint8_t tag, std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, is_visible)) {
    throw std::runtime_error("a name or URL for a certificate is empty or not printable ASCII");
  }
  return der::element(tag, as_bytes(text));
}

Bytes name_attribute(std::string_view oid, const std::string& text) {
  if (text.empty()) return {};
  if (text.size() > kMaxNameCharacters) {
    throw std::runtime_error(
        "\"" + text + "\" is longer than the 64 characters a name in a certificate may have");
  }
  return der::set({der::sequence({der::oid(oid), der::utf8(text)})});
}

Bytes basic_constraints(const CertificateTemplate& certificate) {
  if (!certificate.is_ca) return extension(kBasicConstraints, Critical::yes, der::sequence({}));
  Bytes path;
  if (certificate.path_length) {
    ACME_CHECK(*certificate.path_length >= 0);
    path = der::integer(static_cast<std::uint64_t>(*certificate.path_length));
  }
  return extension(kBasicConstraints, Critical::yes, der::sequence({der::boolean_true(), path}));
}

Bytes key_usage(const CertificateTemplate& certificate) {
  if (certificate.key_usages.empty()) return {};
  std::uint32_t bits = 0;
  for (const std::string& usage : certificate.key_usages) {
    const auto found = std::ranges::find(kKeyUsages, usage);
    if (found == kKeyUsages.end()) throw std::runtime_error("\"" + usage + "\" is not a key usage");
    bits |= 1U << static_cast<unsigned>(found - kKeyUsages.begin());
  }
  return extension(kKeyUsage, Critical::yes, der::named_bits(bits));
}

Bytes extended_key_usage(const CertificateTemplate& certificate) {
  if (certificate.extended_key_usages.empty()) return {};
  Bytes usages;
  for (const std::string& usage : certificate.extended_key_usages) {
    const auto known = std::ranges::find(kExtendedKeyUsages, usage, &Named::first);
    der::append(usages, der::oid(known == kExtendedKeyUsages.end() ? std::string_view(usage)
                                                                   : known->second));
  }
  return extension(kExtendedKeyUsage, Critical::no, der::element(der::kSequence, usages));
}

Bytes subject_key_id(const CertificateTemplate& certificate) {
  if (!certificate.subject_key_id) return {};
  return extension(kSubjectKeyId, Critical::no,
                   der::octet_string(subject_key_id_of(certificate.spki)));
}

Bytes authority_key_id(const CertificateTemplate& certificate) {
  if (certificate.authority_key_id.empty()) return {};
  return extension(
      kAuthorityKeyId, Critical::no,
      der::sequence({der::element(der::primitive_tag(0), certificate.authority_key_id)}));
}

Bytes subject_alt_name(const CertificateTemplate& certificate, bool empty_subject) {
  if (certificate.dns_names.empty() && certificate.ip_addresses.empty()) return {};
  Bytes names;
  for (const std::string& name : certificate.dns_names) der::append(names, ascii(kDnsName, name));
  for (const std::string& text : certificate.ip_addresses) {
    const auto address = IpAddress::parse(text);
    if (!address) throw std::runtime_error("\"" + text + "\" is not an IP address");
    der::append(names, der::element(kIpAddress, address->bytes()));
  }
  // RFC 5280 section 4.2.1.6: "If the subject field contains an empty sequence, then the issuing CA
  // MUST include a subjectAltName extension that is marked as critical."
  return extension(kSubjectAltName, empty_subject ? Critical::yes : Critical::no,
                   der::element(der::kSequence, names));
}

Bytes crl_distribution_points(const CertificateTemplate& certificate) {
  if (certificate.crl_url.empty()) return {};
  const Bytes full_name = der::element(der::constructed_tag(0), ascii(kUri, certificate.crl_url));
  const Bytes point = der::sequence({der::element(der::constructed_tag(0), full_name)});
  return extension(kCrlDistributionPoints, Critical::no, der::sequence({point}));
}

Bytes authority_info_access(const CertificateTemplate& certificate) {
  Bytes accesses;
  for (const auto& [method, url] :
       {Named(kOcsp, certificate.ocsp_url), Named(kCaIssuers, certificate.issuer_url)}) {
    if (!url.empty()) der::append(accesses, der::sequence({der::oid(method), ascii(kUri, url)}));
  }
  if (accesses.empty()) return {};
  return extension(kAuthorityInfoAccess, Critical::no, der::element(der::kSequence, accesses));
}

// Address and mask (RFC 5280 section 4.2.1.10).
Bytes prefix_octets(const std::string& cidr) {
  const auto prefix = IpPrefix::parse(cidr);
  if (!prefix) throw std::runtime_error(prefix.error());
  const ByteView address = prefix->address.bytes();
  Bytes octets(address.begin(), address.end());
  const auto length = static_cast<std::size_t>(prefix->length);
  for (std::size_t i = 0; i < address.size(); ++i) {
    const std::size_t kept = std::min<std::size_t>(8, length > i * 8 ? length - i * 8 : 0);
    octets.push_back(static_cast<std::uint8_t>(0xFF00U >> kept));
  }
  return octets;
}

Bytes name_constraints(const CertificateTemplate& certificate) {
  Bytes subtrees;
  for (const std::string& name : certificate.permitted_dns) {
    der::append(subtrees, der::sequence({ascii(kDnsName, name)}));
  }
  for (const std::string& cidr : certificate.permitted_ip) {
    der::append(subtrees, der::sequence({der::element(kIpAddress, prefix_octets(cidr))}));
  }
  if (subtrees.empty()) return {};
  ACME_CHECK(certificate.is_ca);
  return extension(kNameConstraints, Critical::yes,
                   der::sequence({der::element(der::constructed_tag(0), subtrees)}));
}

Bytes subject_of(const CertificateTemplate& certificate) {
  return certificate.subject_name_der.empty()
             ? make_name(certificate.common_name, certificate.organization)
             : certificate.subject_name_der;
}

}  // namespace

Bytes random_serial(Entropy& entropy) {
  Bytes serial(kSerialBytes);
  entropy.fill(std::span(serial).subspan(1));
  serial[0] = static_cast<std::uint8_t>(1 + random_below(entropy, 0x7F));
  return serial;
}

Bytes make_tbs(const CertificateTemplate& certificate, ByteView signature_algorithm) {
  const Bytes& serial = certificate.serial;
  ACME_CHECK(!serial.empty() && serial.size() <= kMaxSerialBytes && serial[0] < 0x80);
  ACME_CHECK(std::ranges::any_of(serial, [](std::uint8_t octet) { return octet != 0; }));
  ACME_CHECK(certificate.not_before <= certificate.not_after);

  const Bytes subject = subject_of(certificate);
  const bool empty_subject = subject == der::sequence({});
  const Bytes extensions = der::sequence({
      basic_constraints(certificate),
      key_usage(certificate),
      extended_key_usage(certificate),
      subject_key_id(certificate),
      authority_key_id(certificate),
      subject_alt_name(certificate, empty_subject),
      crl_distribution_points(certificate),
      authority_info_access(certificate),
      name_constraints(certificate),
  });
  return der::sequence({
      der::element(der::constructed_tag(0), der::integer(std::uint64_t{2})),  // v3
      der::integer(serial),
      signature_algorithm,
      certificate.issuer_name_der.empty() ? subject : certificate.issuer_name_der,
      der::sequence({der::time(certificate.not_before), der::time(certificate.not_after)}),
      subject,
      certificate.spki,
      der::element(der::constructed_tag(3), extensions),
  });
}

Bytes sign_certificate(ByteView tbs, Signer& signer) {
  crash_point("key.before_signing");
  const Bytes signature = signer.sign(tbs);
  crash_point("key.signed");
  return der::sequence({tbs, signer.algorithm(), der::bit_string(signature)});
}

Bytes make_ca_request(const CertificateTemplate& ca, Signer& signer) {
  ACME_CHECK(ca.is_ca);
  const Bytes extensions = der::sequence(
      {basic_constraints(ca), key_usage(ca), subject_key_id(ca), name_constraints(ca)});
  const Bytes request = der::sequence({der::oid(kExtensionRequest), der::set({extensions})});
  const Bytes info =
      der::sequence({der::integer(std::uint64_t{0}),  // v1
                     subject_of(ca), ca.spki, der::element(der::constructed_tag(0), request)});
  return sign_certificate(info, signer);  // SIGNED{…} alike
}

std::string request_to_pem(ByteView der) {
  constexpr std::size_t kColumns = 64;
  const std::string base64 = base64_encode(der);
  std::string pem = "-----BEGIN CERTIFICATE REQUEST-----\n";
  for (std::size_t at = 0; at < base64.size(); at += kColumns) {
    pem += base64.substr(at, kColumns) + '\n';
  }
  return pem + "-----END CERTIFICATE REQUEST-----\n";
}

Bytes make_name(const std::string& common_name, const std::string& organization) {
  return der::sequence(
      {name_attribute(kOrganization, organization), name_attribute(kCommonName, common_name)});
}

Bytes subject_key_id_of(ByteView spki) {
  const auto whole = der::Reader(spki).next(der::kSequence);
  ACME_CHECK(whole.has_value());
  der::Reader parts(whole->content);
  parts.next(der::kSequence);
  const auto key = der::whole_octets(parts.next());
  ACME_CHECK(key.has_value());
  const Sha256 digest = sha256(*key);
  return {digest.begin(), digest.begin() + kSubjectKeyIdBytes};
}

}  // namespace gatehouse::crypto
