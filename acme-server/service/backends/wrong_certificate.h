// A certificate that is not what its order asks for, from a CA elsewhere.
#pragma once

#include <string>

#include "acme-server/base/deadline.h"
#include "acme-server/service/context.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Has the CA revoke the leaf of `issued`, which nobody shall use, and gives a sentence for the
// audit trail: that it is revoked, or why not and what an operator has to do. `intent` is what it
// should have answered. A leaf for another key than the intent's, by another CA, or on record as
// another order's is left alone: somebody may be using it. The reason is unspecified (RFC 5280
// section 5.3.1), which every CA takes. Blocks on the CA up to `deadline`; no failure is thrown.
std::string revoke_wrong_certificate(Context& context, const backends::Backend& backend,
                                     const backends::Issued& issued, const backends::Intent& intent,
                                     Deadline deadline);

}  // namespace gatehouse::service
