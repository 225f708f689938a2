// A CSR against its order: the same names, and nothing asked for that we never give.
#pragma once

#include "acme-server/base/bytes.h"
#include "acme-server/core/order.h"
#include "acme-server/crypto/csr.h"

namespace gatehouse::service {

// Parses `der` and rejects badCSR with the reason: not a CSR, too large, names other than exactly
// the order's (as sets, canonical, the common name counted in), more than one common name,
// must-staple. Whether the key is acceptable is prepare_issuance()'s business.
crypto::Csr check_csr(ByteView der, const Order& order);

}  // namespace gatehouse::service
