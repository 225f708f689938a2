// That an account may still act, asked again in the transaction that acts for it.
#pragma once

#include "acme-server/core/account.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// RFC 8555 section 7.3.6: rejects with unauthorized, 401.
[[noreturn]] void reject_not_valid(const AccountId& id);

// Requests were authenticated before; the account may have been deactivated meanwhile.
void check_is_valid(store::Tx& tx, const Account& account);

}  // namespace gatehouse::service
