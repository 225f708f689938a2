// What CSRs and certificates have in common: distinguished names, subjectAltNames, extension lists.
// For crypto's .cc files.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/asn1.h"

namespace gatehouse::crypto {

// Everything below reads values that asn1::decode has accepted.

// Every commonName of a name, as UTF-8. The error: one that is no text, or with a control character
// in it.
Expected<std::vector<std::string>, std::string> common_names_of(const asn1::Stack* name);

// "CN=Example, O=Someone", first component first, for people: sanitised, never compared.
std::string print_name(const asn1::Stack* name);

struct AlternativeNames {
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;  // canonical text
  bool has_other_names = false;           // any other type
};

// The content of a subjectAltName. The error: not DER, empty, a dNSName that is empty or not
// printable ASCII (NUL and white space are not), an iPAddress of other than 4 or 16 octets.
Expected<AlternativeNames, std::string> read_alternative_names(ByteView value);

// The extensions of a list; the error: one of them twice (RFC 5280 section 4.2), a critical flag
// that is not DER.
Expected<std::vector<asn1::Extension*>, std::string> read_extensions(const asn1::Stack* extensions);

// The content of the extension `nid` (OpenSSL's number), or nothing.
std::optional<ByteView> find_extension(const std::vector<asn1::Extension*>& extensions, int nid);

struct BasicConstraints {
  bool is_ca = false;
  std::optional<int> path_length;
};

// The error: not DER, or a path length below 0 or past what makes sense.
Expected<BasicConstraints, std::string> read_basic_constraints(ByteView value);

}  // namespace gatehouse::crypto
