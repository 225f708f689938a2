// The identifiers of a newOrder, read and judged.
#pragma once

#include <vector>

#include "acme-server/core/identifier.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/orders/orders.h"
#include "ca-backends/backend.h"
#include "validators/validator.h"

namespace gatehouse::service {

// In canonical form, each once, in the order they were sent. Rejects malformed when there are none
// or too many, else with one subproblem for each that is no identifier, that the profile's policy
// refuses, that none of its enabled challenge types can prove, or that `backend` (null: nobody)
// could never certify.
std::vector<Identifier> read_identifiers(const std::vector<Orders::RequestedIdentifier>& requested,
                                         const Profile& profile,
                                         const validators::ValidatorSet& validators,
                                         const backends::CertificateBackend* backend);

}  // namespace gatehouse::service
