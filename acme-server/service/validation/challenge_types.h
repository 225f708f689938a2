// Which challenge types may prove an identifier under a profile, and whether what was proven still
// counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/profile.h"
#include "validators/validator.h"

namespace gatehouse::service {

// The profile's challenge types that some validator can prove `identifier` by, in the profile's
// order. A wildcard comes with its "*.".
std::vector<std::string> types_for(const Identifier& identifier, const Profile& profile,
                                   const validators::ValidatorSet& validators);

// Nothing when `authorization` was proven by a type that may still prove its identifier under
// `profile`; else a sentence for the client. A type that was switched off proves nothing from that
// moment on.
std::optional<std::string> why_unproven(const Authorization& authorization, const Profile& profile,
                                        const validators::ValidatorSet& validators);

}  // namespace gatehouse::service
