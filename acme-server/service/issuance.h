// From a finalized order to a stored intent: what Orders::finalize, the issuance job and the server's own certificates
// have in common.
#pragma once

#include "acme-server/core/order.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/context.h"
#include "acme-server/store/issuances.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Asks the profile's backend to prepare an intent for `order` with the key of `spki`, and puts it with everything it was
// made under. Outside any transaction; nothing is stored. Rejects what the backend refuses.
store::Issuance prepare_issuance(Context& context, const Order& order, const Profile& profile, ByteView csr_der,
                                 ByteView spki);

// The backend's half of a stored issuance.
backends::Intent intent_of(const store::Issuance& issuance);

}  // namespace gatehouse::service
