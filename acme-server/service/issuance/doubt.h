// How an operator ends a doubt: the CA was asked for a certificate, and nobody can tell whether it
// has issued one. The third way is Inventory::resume_order(), which has the CA asked again.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

// Each ends the doubt about `order` in one transaction, audits it, and rejects for the operator: an
// order that is not in doubt, or was resumed meanwhile (409), or that there is not (404). Blocks on
// the database.

// The CA has issued nothing: the order fails. `why` is for the audit trail.
void fail_order(Context& context, const OrderId& order, const std::string& why,
                const Principal& by);

// The CA has issued, and `file` (PEM, DER or PKCS#7) holds the certificate: it is held against the
// intent as its answer would have been, and becomes the order's. Rejects a certificate that is not
// what was asked for, in a sentence (malformed); the doubt stays then.
void adopt_certificate(Context& context, const OrderId& order, std::string_view file,
                       const Principal& by);

}  // namespace gatehouse::service
