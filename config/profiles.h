// The profiles and key policies of the config.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "acme-server/base/json.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::config {

// The "profiles" of `object`, which has them. Throws JsonError: none or too many, a name that is
// none, unknown fields, unusable rules.
std::map<std::string, Profile> read_profiles(const JsonObject& object);

// Reads the key policy `name` of `rules` over `policy`. Throws JsonError.
void read_key_policy(const JsonObject& rules, std::string_view name, crypto::KeyPolicy& policy);

}  // namespace gatehouse::config
