#include "acme-server/crypto/csr.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/der_reader.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/names.h"
#include "acme-server/crypto/public_key.h"

namespace gatehouse::crypto {

namespace {

constexpr long kStatusRequest =
    5;  // RFC 7633 section 4.1: TLS feature "status_request", must-staple

using Error = Unexpected<std::string>;

Error wrong(std::string sentence) {
  return {std::move(sentence)};
}

bool is_extension_request(const asn1::Attribute& attribute) {
  const int nid = OBJ_obj2nid(attribute.id);
  return nid == NID_ext_req ||
         nid == NID_ms_ext_req;  // Microsoft had one of its own; it means the same
}

// The content of the one extensionRequest attribute: a DER Extensions. Empty when there is none.
Expected<Bytes, std::string> requested_extensions(const asn1::Stack* attributes) {
  Bytes extensions;
  for (const auto* attribute : asn1::elements<asn1::Attribute>(attributes)) {
    if (!is_extension_request(*attribute)) continue;
    if (!extensions.empty()) return wrong("The CSR has more than one extensionRequest attribute");
    const auto values = asn1::elements<ASN1_TYPE>(attribute->values);
    if (values.size() != 1)
      return wrong("The CSR's extensionRequest attribute does not have exactly one value");
    if (values[0]->type != V_ASN1_SEQUENCE)
      return wrong("The CSR's extensionRequest is not a list of extensions");
    const ByteView der = asn1::octets_of(values[0]->value.sequence);
    extensions.assign(der.begin(), der.end());
  }
  return extensions;
}

// What the requested extensions ask for, into `csr`. The error is a sentence.
std::optional<std::string> read_extension_request(ByteView der, Csr& csr) {
  const auto decoded = asn1::decode<asn1::extensions_item, asn1::Stack>(der);
  if (!decoded) return "The CSR's extensionRequest is not DER";
  const auto extensions = read_extensions(decoded.get());
  if (!extensions) return "The CSR's extensionRequest: " + extensions.error();

  if (const auto value = find_extension(*extensions, NID_subject_alt_name)) {
    auto names = read_alternative_names(*value);
    if (!names) return "The CSR: " + names.error();
    // Other types are refused, not skipped: their owner would believe that they were in the
    // certificate.
    if (names->has_other_names)
      return "The CSR's subjectAltName has a name that is neither a DNS name nor an IP address";
    csr.dns_names = std::move(names->dns_names);
    csr.ip_addresses = std::move(names->ip_addresses);
  }
  if (const auto value = find_extension(*extensions, NID_basic_constraints)) {
    const auto constraints = read_basic_constraints(*value);
    if (!constraints) return "The CSR's " + constraints.error();
    if (constraints->is_ca) return "The CSR asks for a CA certificate (basicConstraints CA:TRUE)";
  }
  if (const auto value = find_extension(*extensions, NID_tlsfeature)) {
    const auto features = asn1::decode<ASN1_SEQUENCE_ANY_it, ASN1_SEQUENCE_ANY>(*value);
    if (!features) return "The CSR's TLS feature extension is not DER";
    for (int i = 0; i < sk_ASN1_TYPE_num(features.get()); ++i) {
      const ASN1_TYPE* feature = sk_ASN1_TYPE_value(features.get(), i);
      if (feature->type != V_ASN1_INTEGER)
        return "The CSR's TLS feature extension is not a list of numbers";
      if (ASN1_INTEGER_get(feature->value.integer) == kStatusRequest) csr.must_staple = true;
    }
  }
  return std::nullopt;
}

// What is looked at as octets, cut out of those of a request that has been decoded.
struct Parts {
  ByteView info;  // what is signed
  ByteView spki;
  ByteView algorithm;
  std::optional<ByteView> signature;
};

Parts parts_of(ByteView request) {
  const auto next = [](der::Reader& reader) { return reader.next().value(); };
  der::Reader outer(request);
  der::Reader whole(next(outer).content);
  const der::Element info = next(whole);
  const der::Element algorithm = next(whole);
  der::Reader fields(info.content);
  next(fields);  // version
  next(fields);  // subject
  return {.info = info.whole,
          .spki = next(fields).whole,
          .algorithm = algorithm.whole,
          .signature = der::whole_octets(whole.next())};
}

// Proof that whoever asks holds the private key.
std::optional<std::string> why_signature_fails(const Parts& parts, const Jwk& key) {
  if (const auto why = why_algorithm_refused(parts.algorithm)) return "The CSR " + *why;
  if (!parts.signature || !verify_x509_signature(parts.algorithm, *make_public_key(key), parts.info,
                                                 *parts.signature)) {
    return "The CSR's signature does not verify with its own key";
  }
  return std::nullopt;
}

}  // namespace

Expected<Csr, std::string> parse_csr(ByteView der) {
  if (der.size() > kMaxCsrBytes)
    return wrong("The CSR is longer than " + std::to_string(kMaxCsrBytes) + " octets");
  const auto request =
      asn1::decode<asn1::CertificationRequest::item, asn1::CertificationRequest>(der);
  if (!request) return wrong("The CSR is not one PKCS#10 request in DER with nothing behind it");
  const asn1::CertificationRequestInfo& info = *request->info;

  // RFC 2986 section 4.1: "It shall be 0 for this version of the standard". certbot before 1.29 and
  // acme-client for Ruby before 2.0.19 write a certificate's v3 there, a 2; nothing hangs on it.
  const std::int64_t version = ASN1_STRING_type(info.version) == V_ASN1_INTEGER
                                   ? std::int64_t{ASN1_INTEGER_get(info.version)}
                                   : -1;
  if (version != 0 && version != 2) return wrong("The CSR's version is not 0");
  Csr csr;
  csr.der.assign(der.begin(), der.end());
  const Parts parts = parts_of(csr.der);
  csr.spki.assign(parts.spki.begin(), parts.spki.end());

  auto common_names = common_names_of(info.subject);
  if (!common_names) return wrong("The CSR's subject: " + common_names.error());
  csr.common_names = std::move(*common_names);

  const auto extensions = requested_extensions(info.attributes);
  if (!extensions) return wrong(extensions.error());
  if (!extensions->empty()) {
    if (auto problem = read_extension_request(*extensions, csr)) return wrong(std::move(*problem));
  }
  if (std::max(csr.common_names.size(), csr.dns_names.size() + csr.ip_addresses.size()) >
      kMaxCsrNames) {
    return wrong("The CSR has more than " + std::to_string(kMaxCsrNames) + " names");
  }

  // The costly part last: a key, and one verification with it.
  auto key = read_spki(csr.spki);
  if (!key) return wrong("The CSR: " + key.error());
  csr.key = std::move(*key);
  if (auto problem = why_signature_fails(parts, csr.key)) return wrong(std::move(*problem));
  return csr;
}

}  // namespace gatehouse::crypto
