// Principal: who acts. Audit events name one, and whoever asks for what not everybody may do is
// one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "acme-server/core/ids.h"

namespace gatehouse {

// The server itself, by one of its own rules: "server".
struct ServerPrincipal {
  friend bool operator==(const ServerPrincipal&, const ServerPrincipal&) = default;
};

// An operator on this machine, known by the uid of the process that called: "operator:<uid>".
struct OperatorByUid {
  std::uint32_t uid = 0;

  friend bool operator==(const OperatorByUid&, const OperatorByUid&) = default;
};

// Whoever signs with a certificate's key (RFC 8555 section 7.6), with no account:
// "key:<SHA-256 of the SubjectPublicKeyInfo, hex>".
struct CertificateKeyHolder {
  std::string spki_sha256;

  friend bool operator==(const CertificateKeyHolder&, const CertificateKeyHolder&) = default;
};

// What the audit trail has and this version cannot read: a later version wrote it, or somebody
// changed the row. It has no rights and never acts.
struct UnknownPrincipal {
  std::string text;

  friend bool operator==(const UnknownPrincipal&, const UnknownPrincipal&) = default;
};

// An AccountId is the client that holds the account: "account:<id>".
using Principal =
    std::variant<ServerPrincipal, AccountId, OperatorByUid, CertificateKeyHolder, UnknownPrincipal>;

// As it is stored, logged and shown.
std::string to_string(const Principal& principal);

// The reverse, for any text: to_string(parse_principal(text)) == text, so that a row that is read
// has the hash that it was written with.
Principal parse_principal(std::string_view text);

}  // namespace gatehouse
