// A trial of a backend: a certificate that nobody uses, to see what its CA issues now.
#pragma once

#include <string>

#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

// Orders a certificate for the DNS name `name` from `backend`, for a key that is thrown away, by
// the rules of the first profile that uses the backend. It is an order of the server's own like any
// other, checked and recorded; a stop of the backend does not keep it from being submitted, and
// ends when it was issued (resume_backend_after()). Rejects, for the operator: no profile uses the
// backend (malformed), a name that is none, and what prepare() rejects. Blocks on the database.
OrderId begin_trial(Context& context, const std::string& backend, const std::string& name,
                    const Principal& by);

}  // namespace gatehouse::service
