// enum <-> the RFC's strings, one table each; also how enums stand in the store.
#pragma once

#include <optional>
#include <string_view>

#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"

namespace gatehouse {

std::string_view to_string(AccountStatus status);
std::string_view to_string(AuthorizationStatus status);
std::string_view to_string(ChallengeStatus status);
std::string_view to_string(OrderStatus status);

// Nothing for a text that is none of them.
std::optional<AccountStatus> account_status_from(std::string_view text);
std::optional<AuthorizationStatus> authorization_status_from(std::string_view text);
std::optional<ChallengeStatus> challenge_status_from(std::string_view text);

}  // namespace gatehouse
