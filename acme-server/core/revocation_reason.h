// Why a certificate was revoked: the codes of RFC 5280 section 5.3.1 that are taken here, and their
// names.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

// Whose certificate is revoked.
enum class Revoked { end_entity, ca };

struct RevocationReason {
  int code;
  std::string_view name;
  bool of_cas_alone = false;
};

// Left out: what is said of attribute authorities (10), what is not final (6, 8), what is not used
// (7).
inline constexpr std::array<RevocationReason, 7> kRevocationReasons = {{
    {0, "unspecified"},
    {1, "keyCompromise"},
    {2, "cACompromise", true},
    {3, "affiliationChanged"},
    {4, "superseded"},
    {5, "cessationOfOperation"},
    {9, "privilegeWithdrawn"},
}};
inline constexpr int kKeyCompromise = 1;
inline constexpr int kCaCompromise = 2;

// Whether `code` may be given for such a certificate.
bool is_revocation_reason(std::int64_t code, Revoked what);
// "0 (unspecified), 1 (keyCompromise), …": those that may be given, for messages.
std::string list_revocation_reasons(Revoked what);
// The name of a code, and the code of a name; nothing for any other.
std::optional<std::string_view> revocation_reason_name(std::int64_t code);
std::optional<int> revocation_reason_from(std::string_view name);

}  // namespace gatehouse
