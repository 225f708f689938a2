#include "acme-server/crypto/names.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/asn1.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

constexpr std::size_t kMaxShownBytes = 200;  // of one attribute in a printed name
constexpr std::size_t kMaxExtensions =
    64;                               // real ones have a dozen; bounds the look for duplicates
constexpr long kMaxPathLength = 100;  // no chain that we would follow is longer

// The text of a directory string as UTF-8; nothing when it is not one, or holds a control
// character.
std::optional<std::string> directory_text(const ASN1_TYPE* value) {
  switch (value->type) {
    case V_ASN1_UTF8STRING:
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_T61STRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_BMPSTRING:
    case V_ASN1_UNIVERSALSTRING:
      break;
    default:
      return std::nullopt;
  }
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value->value.asn1_string);
  if (size < 0) {
    drain_openssl_errors();
    return std::nullopt;
  }
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  if (std::ranges::any_of(text, is_control)) return std::nullopt;
  return text;
}

template <class Visit>
void for_each_attribute(const asn1::Stack* name, Visit visit) {
  for (const auto* relative : asn1::elements<asn1::Stack>(name)) {
    for (const auto* attribute : asn1::elements<asn1::NameAttribute>(relative)) visit(*attribute);
  }
}

// Printable ASCII without blanks: what a host name could possibly be. The rules of names are
// core's.
bool could_be_host(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_visible);
}

}  // namespace

Expected<std::vector<std::string>, std::string> common_names_of(const asn1::Stack* name) {
  std::vector<std::string> names;
  bool good = true;
  for_each_attribute(name, [&](const asn1::NameAttribute& attribute) {
    if (OBJ_obj2nid(attribute.type) != NID_commonName) return;
    std::optional<std::string> text = directory_text(attribute.value);
    good = good && text;
    if (text) names.push_back(std::move(*text));
  });
  if (!good)
    return Unexpected{std::string("a common name is not text, or has a control character in it")};
  return names;
}

std::string print_name(const asn1::Stack* name) {
  std::vector<std::string> parts;
  for_each_attribute(name, [&](const asn1::NameAttribute& attribute) {
    const int nid = OBJ_obj2nid(attribute.type);
    const std::string type =
        nid == NID_undef ? asn1::dotted(attribute.type) : std::string(OBJ_nid2sn(nid));
    const std::optional<std::string> text = directory_text(attribute.value);
    parts.push_back(type + "=" + (text ? sanitize(*text, kMaxShownBytes) : std::string("?")));
  });
  return join(parts, ", ");
}

Expected<AlternativeNames, std::string> read_alternative_names(ByteView value) {
  const auto names = asn1::decode<GENERAL_NAMES_it, GENERAL_NAMES>(value);
  if (!names) return Unexpected{std::string("the subjectAltName is not DER")};
  if (sk_GENERAL_NAME_num(names.get()) == 0)
    return Unexpected{std::string("the subjectAltName is empty")};
  AlternativeNames result;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      const std::string_view text = as_text(asn1::octets_of(name->d.dNSName));
      if (!could_be_host(text))
        return Unexpected{"the DNS name \"" + sanitize(text, 100) + "\" is not printable ASCII"};
      result.dns_names.emplace_back(text);
    } else if (name->type == GEN_IPADD) {
      const auto address = IpAddress::from_bytes(asn1::octets_of(name->d.iPAddress));
      if (!address)
        return Unexpected{std::string("an IP address in the subjectAltName is not 4 or 16 octets")};
      result.ip_addresses.push_back(address->to_string());
    } else {
      result.has_other_names = true;
    }
  }
  return result;
}

Expected<std::vector<asn1::Extension*>, std::string> read_extensions(
    const asn1::Stack* extensions) {
  std::vector<asn1::Extension*> list = asn1::elements<asn1::Extension>(extensions);
  if (list.size() > kMaxExtensions)
    return Unexpected{"more than " + std::to_string(kMaxExtensions) + " extensions"};
  for (auto at = list.begin(); at != list.end(); ++at) {
    if (!asn1::is_der_boolean((*at)->critical))
      return Unexpected{std::string("an extension's critical flag is not DER")};
    const bool twice = std::any_of(list.begin(), at, [&](const asn1::Extension* earlier) {
      return OBJ_cmp(earlier->id, (*at)->id) == 0;
    });
    if (twice) return Unexpected{"the extension " + asn1::dotted((*at)->id) + " is there twice"};
  }
  return list;
}

std::optional<ByteView> find_extension(const std::vector<asn1::Extension*>& extensions, int nid) {
  for (const asn1::Extension* extension : extensions) {
    if (OBJ_obj2nid(extension->id) == nid) return asn1::octets_of(extension->value);
  }
  return std::nullopt;
}

Expected<BasicConstraints, std::string> read_basic_constraints(ByteView value) {
  const auto decoded = asn1::decode<BASIC_CONSTRAINTS_it, BASIC_CONSTRAINTS>(value);
  if (!decoded || !asn1::is_der_boolean(decoded->ca))
    return Unexpected{std::string("basicConstraints are not DER")};
  BasicConstraints result{.is_ca = decoded->ca != 0, .path_length = std::nullopt};
  if (decoded->pathlen != nullptr) {
    const long length = ASN1_INTEGER_get(decoded->pathlen);
    if (length < 0 || length > kMaxPathLength) {
      return Unexpected{std::string("basicConstraints have a path length out of range")};
    }
    result.path_length = static_cast<int>(length);
  }
  return result;
}

}  // namespace gatehouse::crypto
