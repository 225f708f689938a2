#include "acme-server/core/revocation_reason.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {
namespace {

bool may_be_given(const RevocationReason& reason, Revoked what) {
  return what == Revoked::ca || !reason.of_cas_alone;
}

}  // namespace

bool is_revocation_reason(std::int64_t code, Revoked what) {
  return std::ranges::any_of(kRevocationReasons, [&](const RevocationReason& reason) {
    return reason.code == code && may_be_given(reason, what);
  });
}

std::string list_revocation_reasons(Revoked what) {
  std::string list;
  for (const RevocationReason& reason : kRevocationReasons) {
    if (!may_be_given(reason, what)) continue;
    list += (list.empty() ? "" : ", ") + std::to_string(reason.code) + " (" +
            std::string(reason.name) + ")";
  }
  return list;
}

std::optional<std::string_view> revocation_reason_name(std::int64_t code) {
  const auto* const reason = std::ranges::find(kRevocationReasons, code, &RevocationReason::code);
  return reason == kRevocationReasons.end() ? std::nullopt : std::optional(reason->name);
}

std::optional<int> revocation_reason_from(std::string_view name) {
  const auto* const reason = std::ranges::find(kRevocationReasons, name, &RevocationReason::name);
  return reason == kRevocationReasons.end() ? std::nullopt : std::optional(reason->code);
}

}  // namespace gatehouse
