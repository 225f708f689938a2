// What came back is what was asked: key, names, validity, usages, issuer's signature; before anyone
// sees it.
#pragma once

#include <optional>
#include <string>

#include "acme-server/core/order.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/store/issuances.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Nothing when the leaf of `issued` is what the order and its intent say: signed by the issuer's
// public key, the serial and dates of the intent, the key by its hash, exactly the order's names
// and no other, the profile's usages, not a CA, the CDP of the intent, every chain (alternates too)
// leading from the same leaf to its root. Else a sentence for the operator. `profile` may be null
// when it is gone from the config: usages are then not compared. `chains` does the verifying.
std::optional<std::string> why_wrong(const backends::Issued& issued, const Order& order,
                                     const store::Issuance& issuance, const Profile* profile,
                                     const backends::Issuer* issuer, crypto::ChainChecker& chains);

}  // namespace gatehouse::service
