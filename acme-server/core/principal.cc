#include "acme-server/core/principal.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

#include "acme-server/base/match.h"
#include "acme-server/core/ids.h"

namespace gatehouse {
namespace {

constexpr std::string_view kServer = "server";
constexpr std::string_view kAccount = "account:";
constexpr std::string_view kOperator = "operator:";
constexpr std::string_view kKey = "key:";
constexpr std::size_t kSha256Digits = 64;

// What follows `prefix`; nothing when `text` begins otherwise.
std::optional<std::string_view> after(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

bool is_sha256(std::string_view digits) {
  return digits.size() == kSha256Digits && std::ranges::all_of(digits, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Only as to_string() prints it: "07" is no uid.
std::optional<std::uint32_t> read_uid(std::string_view digits) {
  std::uint32_t uid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), uid);
  if (error != std::errc() || std::to_string(uid) != digits) return std::nullopt;
  return uid;
}

std::string joined(std::string_view prefix, std::string_view rest) {
  return std::string(prefix).append(rest);
}

}  // namespace

std::string to_string(const Principal& principal) {
  return std::visit(
      Match{[](const ServerPrincipal&) { return std::string(kServer); },
            [](const AccountId& account) { return joined(kAccount, account.str()); },
            [](const OperatorByUid& by) { return joined(kOperator, std::to_string(by.uid)); },
            [](const CertificateKeyHolder& holder) { return joined(kKey, holder.spki_sha256); },
            [](const UnknownPrincipal& unknown) { return unknown.text; }},
      principal);
}

Principal parse_principal(std::string_view text) {
  if (text == kServer) return ServerPrincipal{};
  if (const auto id = after(kAccount, text); id && !id->empty()) {
    return AccountId(std::string(*id));
  }
  if (const auto digits = after(kOperator, text)) {
    if (const auto uid = read_uid(*digits)) return OperatorByUid{*uid};
  }
  if (const auto hash = after(kKey, text); hash && is_sha256(*hash)) {
    return CertificateKeyHolder{std::string(*hash)};
  }
  return UnknownPrincipal{std::string(text)};
}

}  // namespace gatehouse
