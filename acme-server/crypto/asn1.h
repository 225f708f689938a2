// The ASN.1 structures that we read from outside, as OpenSSL templates of our own. OpenSSL's
// templates for the same structures decode the SubjectPublicKeyInfo on the way (140 us with
// OpenSSL 3.0, more under contention), and take BER; ours leave the key alone, and decode() takes
// DER only. For crypto's .cc files.
#pragma once

#include <openssl/asn1t.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"

namespace gatehouse::crypto::asn1 {

// Lists inside a structure are OpenSSL's untyped stacks; elements() gives them back their type.
using Stack = OPENSSL_STACK;

struct NameAttribute {
  ASN1_OBJECT* type;
  ASN1_TYPE* value;
};

struct SubjectPublicKeyInfo {
  X509_ALGOR* algorithm;
  ASN1_BIT_STRING* key;
};

struct RsaPublicKey {
  ASN1_INTEGER* modulus;
  ASN1_INTEGER* exponent;
  static const ASN1_ITEM* item();
};

struct Extension {
  ASN1_OBJECT* id;
  ASN1_BOOLEAN critical;
  ASN1_OCTET_STRING* value;
};

// A list of Extension, as an extensionRequest attribute carries it.
const ASN1_ITEM* extensions_item();

struct Attribute {
  ASN1_OBJECT* id;
  Stack* values;  // of ASN1_TYPE
};

struct CertificationRequestInfo {
  ASN1_INTEGER* version;
  Stack* subject;
  SubjectPublicKeyInfo* key;
  Stack* attributes;  // of Attribute; may be null
};

struct CertificationRequest {
  CertificationRequestInfo* info;
  X509_ALGOR* algorithm;
  ASN1_BIT_STRING* signature;
  static const ASN1_ITEM* item();
};

struct TbsCertificate {
  ASN1_INTEGER* version;  // null: 1
  ASN1_INTEGER* serial;
  X509_ALGOR* algorithm;
  Stack* issuer;
  X509_VAL* validity;
  Stack* subject;
  SubjectPublicKeyInfo* key;
  ASN1_BIT_STRING* issuer_unique_id;
  ASN1_BIT_STRING* subject_unique_id;
  Stack* extensions;  // of Extension; may be null
};

struct SignedCertificate {
  TbsCertificate* tbs;
  X509_ALGOR* algorithm;
  ASN1_BIT_STRING* signature;
  static const ASN1_ITEM* item();
};

template <class T>
const ASN1_ITEM* item_of() {
  return T::item();
}

template <auto Item>
struct FreeItem {
  template <class T>
  void operator()(T* value) const {
    ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(value), Item());
  }
};

// Decodes `der` as `item`: nothing behind it, and encoding it again gives the same octets, so that
// no two encodings mean the same thing to us. Null when it is not so; the error queue is left
// empty.
void* decode_exactly(ByteView der, const ASN1_ITEM* item);

// decode<RsaPublicKey::item, RsaPublicKey>(der): an owner, empty when `der` is something else.
template <auto Item, class T>
std::unique_ptr<T, FreeItem<Item>> decode(ByteView der) {
  return std::unique_ptr<T, FreeItem<Item>>(static_cast<T*>(decode_exactly(der, Item())));
}

// The DER encoding of a value.
Bytes encode(const void* value, const ASN1_ITEM* item);

// The typed elements of a stack; none of a null one.
template <class T>
std::vector<T*> elements(const Stack* stack) {
  std::vector<T*> all;
  for (int i = 0; i < OPENSSL_sk_num(stack); ++i)
    all.push_back(static_cast<T*>(OPENSSL_sk_value(stack, i)));
  return all;
}

// The content octets: pointer and length, never a C string (CVE-2021-3712).
ByteView octets_of(const ASN1_STRING* text);

// The octets of a BIT STRING that has no spare bits, as keys and signatures do; nothing for
// another.
std::optional<ByteView> whole_octets(const ASN1_BIT_STRING* bits);

// Seconds since 1970 of a UTCTime or GeneralizedTime in the one form DER allows for certificates
// (RFC 5280 section 4.1.2.5): seconds present, ending in Z.
std::optional<Instant> instant_of(const ASN1_TIME* time);
// The same of the content octets; `tag` is V_ASN1_UTCTIME or V_ASN1_GENERALIZEDTIME.
std::optional<Instant> instant_of(int tag, std::string_view text);

// Dotted text.
std::string dotted(const ASN1_OBJECT* id);

// DER booleans are 00 or FF; OpenSSL takes any octet as true and writes it back.
bool is_der_boolean(ASN1_BOOLEAN value);

}  // namespace gatehouse::crypto::asn1
