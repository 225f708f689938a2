#include "acme-server/core/wire_names.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "acme-server/base/check.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"

namespace gatehouse {
namespace {

template <class Enum>
struct Name {
  Enum value;
  std::string_view text;
};

constexpr std::array kAccountStatuses = std::to_array<Name<AccountStatus>>({
    {AccountStatus::valid, "valid"},
    {AccountStatus::deactivated, "deactivated"},
    {AccountStatus::revoked, "revoked"},
});

constexpr std::array kAuthorizationStatuses = std::to_array<Name<AuthorizationStatus>>({
    {AuthorizationStatus::pending, "pending"},
    {AuthorizationStatus::valid, "valid"},
    {AuthorizationStatus::invalid, "invalid"},
    {AuthorizationStatus::deactivated, "deactivated"},
    {AuthorizationStatus::expired, "expired"},
    {AuthorizationStatus::revoked, "revoked"},
});

constexpr std::array kChallengeStatuses = std::to_array<Name<ChallengeStatus>>({
    {ChallengeStatus::pending, "pending"},
    {ChallengeStatus::processing, "processing"},
    {ChallengeStatus::valid, "valid"},
    {ChallengeStatus::invalid, "invalid"},
});

constexpr std::array kOrderStatuses = std::to_array<Name<OrderStatus>>({
    {OrderStatus::pending, "pending"},
    {OrderStatus::ready, "ready"},
    {OrderStatus::processing, "processing"},
    {OrderStatus::valid, "valid"},
    {OrderStatus::invalid, "invalid"},
});

// A row for each enumerator up to `last`, in the order of the enum.
template <class Enum, std::size_t N>
consteval bool is_complete(const std::array<Name<Enum>, N>& table, Enum last) {
  for (std::size_t i = 0; i < N; ++i) {
    if (table[i].value != static_cast<Enum>(i)) {
      return false;
    }
  }
  return N == static_cast<std::size_t>(last) + 1;
}

static_assert(is_complete(kAccountStatuses, AccountStatus::revoked));
static_assert(is_complete(kAuthorizationStatuses, AuthorizationStatus::revoked));
static_assert(is_complete(kChallengeStatuses, ChallengeStatus::invalid));
static_assert(is_complete(kOrderStatuses, OrderStatus::invalid));

template <class Enum, std::size_t N>
std::string_view text_of(const std::array<Name<Enum>, N>& table, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  ACME_CHECK(index < N);
  return table[index].text;
}

template <class Enum, std::size_t N>
std::optional<Enum> value_of(const std::array<Name<Enum>, N>& table, std::string_view text) {
  const auto* const row = std::ranges::find(table, text, &Name<Enum>::text);
  return row == table.end() ? std::nullopt : std::optional(row->value);
}

}  // namespace

std::string_view to_string(AccountStatus status) {
  return text_of(kAccountStatuses, status);
}

std::string_view to_string(AuthorizationStatus status) {
  return text_of(kAuthorizationStatuses, status);
}

std::string_view to_string(ChallengeStatus status) {
  return text_of(kChallengeStatuses, status);
}

std::string_view to_string(OrderStatus status) {
  return text_of(kOrderStatuses, status);
}

std::optional<AccountStatus> account_status_from(std::string_view text) {
  return value_of(kAccountStatuses, text);
}

std::optional<AuthorizationStatus> authorization_status_from(std::string_view text) {
  return value_of(kAuthorizationStatuses, text);
}

std::optional<ChallengeStatus> challenge_status_from(std::string_view text) {
  return value_of(kChallengeStatuses, text);
}

}  // namespace gatehouse
