#include "acme-server/crypto/certificate.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/hex.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/chain.h"
#include "acme-server/crypto/der.h"
#include "acme-server/crypto/der_reader.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/names.h"
#include "acme-server/crypto/public_key.h"

namespace gatehouse::crypto {

namespace {

using Extensions = std::vector<asn1::Extension*>;
using Problem = std::optional<std::string>;

// RFC 5280 section 4.2.1.3, in the order of their bits.
constexpr std::array<const char*, 9> kKeyUsages = {
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
    "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly"};

constexpr std::string_view kPemBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kPemEnd = "-----END CERTIFICATE-----";
constexpr std::size_t kPemColumns = 64;

Unexpected<std::string> wrong(std::string sentence) {
  return {std::move(sentence)};
}

Bytes copy_of(ByteView octets) {
  return {octets.begin(), octets.end()};
}

Problem read_names(const Extensions& extensions, Certificate& certificate) {
  const auto value = find_extension(extensions, NID_subject_alt_name);
  if (!value) return std::nullopt;
  auto names = read_alternative_names(*value);
  if (!names) return names.error();
  certificate.dns_names = std::move(names->dns_names);
  certificate.ip_addresses = std::move(names->ip_addresses);
  certificate.has_other_names = names->has_other_names;
  return std::nullopt;
}

Problem read_key_ids(const Extensions& extensions, Certificate& certificate) {
  if (const auto value = find_extension(extensions, NID_authority_key_identifier)) {
    const auto id = asn1::decode<AUTHORITY_KEYID_it, AUTHORITY_KEYID>(*value);
    if (!id) return "the authorityKeyIdentifier is not DER";
    if (id->keyid != nullptr) certificate.authority_key_id = copy_of(asn1::octets_of(id->keyid));
  }
  if (const auto value = find_extension(extensions, NID_subject_key_identifier)) {
    const auto id = asn1::decode<ASN1_OCTET_STRING_it, ASN1_OCTET_STRING>(*value);
    if (!id) return "the subjectKeyIdentifier is not DER";
    certificate.subject_key_id = copy_of(asn1::octets_of(id.get()));
  }
  return std::nullopt;
}

Problem read_usages(const Extensions& extensions, Certificate& certificate) {
  if (const auto value = find_extension(extensions, NID_basic_constraints)) {
    const auto constraints = read_basic_constraints(*value);
    if (!constraints) return constraints.error();
    certificate.is_ca = constraints->is_ca;
    certificate.path_length = constraints->path_length;
  }
  if (const auto value = find_extension(extensions, NID_key_usage)) {
    const auto bits = asn1::decode<ASN1_BIT_STRING_it, ASN1_BIT_STRING>(*value);
    if (!bits) return "the keyUsage is not DER";
    for (std::size_t bit = 0; bit < kKeyUsages.size(); ++bit) {
      if (ASN1_BIT_STRING_get_bit(bits.get(), static_cast<int>(bit)) != 0) {
        certificate.key_usages.emplace_back(kKeyUsages.at(bit));
      }
    }
    certificate.key_cert_sign = ASN1_BIT_STRING_get_bit(bits.get(), 5) != 0;
    certificate.crl_sign = ASN1_BIT_STRING_get_bit(bits.get(), 6) != 0;
  }
  if (const auto value = find_extension(extensions, NID_ext_key_usage)) {
    const auto usages = asn1::decode<EXTENDED_KEY_USAGE_it, EXTENDED_KEY_USAGE>(*value);
    if (!usages) return "the extendedKeyUsage is not DER";
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
      certificate.extended_key_usages.push_back(
          asn1::dotted(sk_ASN1_OBJECT_value(usages.get(), i)));
    }
  }
  return std::nullopt;
}

void append_url(const GENERAL_NAME* name, std::vector<std::string>& urls) {
  if (name->type == GEN_URI)
    urls.emplace_back(as_text(asn1::octets_of(name->d.uniformResourceIdentifier)));
}

Problem read_urls(const Extensions& extensions, Certificate& certificate) {
  if (const auto value = find_extension(extensions, NID_crl_distribution_points)) {
    const auto points = asn1::decode<CRL_DIST_POINTS_it, CRL_DIST_POINTS>(*value);
    if (!points) return "the cRLDistributionPoints are not DER";
    for (int i = 0; i < sk_DIST_POINT_num(points.get()); ++i) {
      const DIST_POINT_NAME* point = sk_DIST_POINT_value(points.get(), i)->distpoint;
      if (point == nullptr || point->type != 0) continue;  // only fullName has URLs
      for (int j = 0; j < sk_GENERAL_NAME_num(point->name.fullname); ++j) {
        append_url(sk_GENERAL_NAME_value(point->name.fullname, j), certificate.crl_urls);
      }
    }
  }
  if (const auto value = find_extension(extensions, NID_info_access)) {
    const auto accesses = asn1::decode<AUTHORITY_INFO_ACCESS_it, AUTHORITY_INFO_ACCESS>(*value);
    if (!accesses) return "the authorityInfoAccess is not DER";
    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(accesses.get()); ++i) {
      const ACCESS_DESCRIPTION* access = sk_ACCESS_DESCRIPTION_value(accesses.get(), i);
      if (OBJ_obj2nid(access->method) == NID_ad_ca_issuers)
        append_url(access->location, certificate.issuer_urls);
    }
  }
  return std::nullopt;
}

// The fields whose very octets are kept, cut out of those of a certificate that has been decoded.
void cut_out_fields(Certificate& certificate) {
  const auto next = [](der::Reader& reader) { return reader.next().value(); };
  der::Reader outer(certificate.der);
  der::Reader whole(next(outer).content);
  const der::Element tbs = next(whole);
  certificate.tbs = copy_of(tbs.whole);
  der::Reader fields(tbs.content);
  if (fields.next_is(der::constructed_tag(0))) next(fields);  // version
  next(fields);                                               // serialNumber
  next(fields);                                               // signature
  certificate.issuer_name_der = copy_of(next(fields).whole);
  next(fields);  // validity
  certificate.subject_name_der = copy_of(next(fields).whole);
  certificate.spki = copy_of(next(fields).whole);
}

Problem read_fields(const asn1::TbsCertificate& tbs, Certificate& certificate) {
  const long version = tbs.version == nullptr ? 0 : ASN1_INTEGER_get(tbs.version);
  if (version != 2 && (version != 0 || tbs.version != nullptr || tbs.extensions != nullptr)) {
    return "it is neither version 3 nor a version 1 without extensions";
  }
  // ASN1_INTEGER holds the magnitude; the sign is in the type.
  if (ASN1_STRING_type(tbs.serial) != V_ASN1_INTEGER) return "its serial number is negative";
  certificate.serial = hex_encode(asn1::octets_of(tbs.serial));
  certificate.issuer_name = print_name(tbs.issuer);
  certificate.subject_name = print_name(tbs.subject);

  const auto not_before = asn1::instant_of(tbs.validity->notBefore);
  const auto not_after = asn1::instant_of(tbs.validity->notAfter);
  if (!not_before || !not_after)
    return "its validity is not in the form of RFC 5280 section 4.1.2.5";
  certificate.not_before = *not_before;
  certificate.not_after = *not_after;

  auto common_names = common_names_of(tbs.subject);
  if (!common_names) return common_names.error();
  certificate.common_names = std::move(*common_names);
  return std::nullopt;
}

}  // namespace

Expected<Certificate, std::string> parse_certificate(ByteView der) {
  if (der.size() > kMaxCertificateBytes) {
    return wrong("The certificate is longer than " + std::to_string(kMaxCertificateBytes) +
                 " octets");
  }
  const auto decoded = asn1::decode<asn1::SignedCertificate::item, asn1::SignedCertificate>(der);
  if (!decoded)
    return wrong("The certificate is not one X.509 certificate in DER with nothing behind it");
  const asn1::TbsCertificate& tbs = *decoded->tbs;

  Certificate certificate;
  certificate.der = copy_of(der);
  cut_out_fields(certificate);
  if (auto problem = read_fields(tbs, certificate))
    return wrong("The certificate cannot be used: " + *problem);
  // RFC 5280 section 4.1.1.2: the algorithm outside the signed part "MUST" be the one inside.
  if (X509_ALGOR_cmp(tbs.algorithm, decoded->algorithm) != 0) {
    return wrong("The certificate names two signature algorithms");
  }

  const auto extensions = read_extensions(tbs.extensions);
  if (!extensions) return wrong("The certificate cannot be used: " + extensions.error());
  for (const auto read : {read_names, read_key_ids, read_usages, read_urls}) {
    if (auto problem = read(*extensions, certificate))
      return wrong("The certificate cannot be used: " + *problem);
  }
  return certificate;
}

Expected<Certificate, std::string> parse_tbs_certificate(ByteView tbs, ByteView algorithm) {
  constexpr std::uint8_t kNoSignature = 0;
  auto certificate =
      parse_certificate(der::sequence({tbs, algorithm, der::bit_string({&kNoSignature, 1})}));
  // More than one element could stand where one belongs.
  if (certificate && !std::ranges::equal(certificate->tbs, tbs)) {
    return wrong("The TBSCertificate is not one element");
  }
  return certificate;
}

std::optional<Jwk> jwk_of_spki(ByteView spki) {
  auto key = read_spki(spki);
  if (!key) return std::nullopt;
  return std::move(*key);
}

std::string spki_sha256_of(ByteView spki) {
  return sha256_hex(spki);
}

PublicKeyRef public_key_of(const Certificate& issuer) {
  const std::optional<Jwk> key = jwk_of_spki(issuer.spki);
  return key ? make_public_key(*key) : nullptr;
}

bool is_signed_with(const Certificate& certificate, const PublicKey& key) {
  // It has been read as a whole: what is looked for now is where its three parts stand.
  der::Reader outer(certificate.der);
  const auto whole = outer.next(der::kSequence);
  if (!whole || !outer.done()) return false;
  der::Reader parts(whole->content);
  const auto tbs = parts.next(der::kSequence);
  const auto algorithm = parts.next(der::kSequence);
  const auto signature = der::whole_octets(parts.next(der::kBitString));
  return tbs && algorithm && signature && parts.done() &&
         verify_x509_signature(algorithm->whole, key, tbs->whole, *signature);
}

std::optional<std::string> why_unverifiable(const Certificate& certificate,
                                            const Certificate& issuer) {
  der::Reader outer(certificate.der);
  const auto whole = outer.next(der::kSequence);
  der::Reader parts(whole ? whole->content : ByteView());
  parts.next();
  if (const auto algorithm = parts.next(der::kSequence)) {
    if (const auto why = why_algorithm_refused(algorithm->whole)) {
      return "\"" + certificate.subject_name + "\" " + *why;
    }
  }
  if (const auto key = read_spki(issuer.spki); !key) {
    return "\"" + issuer.subject_name + "\" cannot be an issuer here: " + key.error();
  }
  return std::nullopt;
}

bool is_signed_by(const Certificate& certificate, const Certificate& issuer) {
  const PublicKeyRef key = public_key_of(issuer);
  return key && is_signed_with(certificate, *key);
}

std::string to_pem(ByteView certificate_der) {
  const std::string base64 = base64_encode(certificate_der);
  std::string pem(kPemBegin);
  pem.reserve(base64.size() + base64.size() / kPemColumns + 64);
  pem += '\n';
  for (std::size_t at = 0; at < base64.size(); at += kPemColumns)
    pem.append(base64, at, kPemColumns) += '\n';
  return pem.append(kPemEnd) += '\n';
}

Expected<std::vector<Certificate>, std::string> parse_pem_chain(std::string_view pem) {
  return parse_pem_chain(pem, parse_certificate);
}

Expected<std::vector<Certificate>, std::string> parse_pem_chain(std::string_view pem,
                                                                const ParseCertificate& parse) {
  std::vector<Certificate> chain;
  for (std::size_t at = pem.find(kPemBegin); at != std::string_view::npos;
       at = pem.find(kPemBegin, at)) {
    const std::string which =
        "Certificate " + std::to_string(chain.size() + 1) + " of the PEM text";
    at += kPemBegin.size();
    const std::size_t end = pem.find(kPemEnd, at);
    if (end == std::string_view::npos) return wrong(which + " has no end line");
    const std::optional<Bytes> der = base64_decode(pem.substr(at, end - at));
    if (!der) return wrong(which + " is not base64");
    auto certificate = parse(*der);
    if (!certificate) return wrong(which + ": " + certificate.error());
    chain.push_back(std::move(*certificate));
    at = end + kPemEnd.size();
  }
  if (chain.empty()) return wrong("There is no certificate in the PEM text");
  return chain;
}

}  // namespace gatehouse::crypto
