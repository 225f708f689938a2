// The "profiles", key policy, validation and CRL parts of the config: what service::Policy is made
// of.
#pragma once

#include "acme-server/base/json.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::config {

// Fills `policy` from the root object. Throws JsonError: unknown fields, unusable rules, a default
// profile that is not there, a profile whose backend is not among "backends".
void read_policy(const JsonObject& root, service::Policy& policy);

}  // namespace gatehouse::config
