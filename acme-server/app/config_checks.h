// What a policy says against the parts that there are.
#pragma once

#include "acme-server/base/json.h"
#include "acme-server/service/policy_options.h"
#include "validators/validator.h"

namespace gatehouse::app {

// Throws JsonError naming the option when a profile enables a challenge type that no validator has,
// or names a backend that there is not: such a profile could never issue.
void check_profiles(const service::Policy& policy, const validators::ValidatorSet& validators,
                    const Json& backends);

}  // namespace gatehouse::app
