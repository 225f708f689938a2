// From a finalized order to a stored intent: what Orders::finalize, the issuance job and the
// server's own certificates have in common.
#pragma once

#include <optional>
#include <string>

#include "acme-server/core/order.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/context.h"
#include "acme-server/store/issuances.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Asks the profile's backend to prepare an intent for `order` with the key of `spki`, and puts it
// with everything it was made under. Outside any transaction; nothing is stored. Rejects badCSR for
// a key that the profile or the key policy refuses, and what the backend refuses.
store::Issuance prepare_issuance(Context& context, const Order& order, const Profile& profile,
                                 ByteView csr_der, ByteView spki);

// Nothing when a certificate may have the key, in the transaction that relies on it; else the
// badCSR problem: it is blocked, or an account of any directory has it. The problem does not say
// which.
std::optional<Problem> why_key_unusable(store::Tx& tx, const std::string& spki_sha256);

// The backend's half of a stored issuance of `order`, as it was prepared. `profile` is needed for
// one that schema 4 or older has stored, which says less by itself: the profile of its name now, or
// null when there is none.
backends::Intent intent_of(const store::Issuance& issuance, const Order& order,
                           const Profile* profile);

}  // namespace gatehouse::service
