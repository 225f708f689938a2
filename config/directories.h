// The directories of the config: what service::Policy is made of.
#pragma once

#include <string>

#include "acme-server/base/json.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::config {

// The rules of every directory: what the root object says, overridden by what each of its
// "directories" says. Without "directories" there is one, "default". CAA records know this CA by
// the host of `base_url` unless "caa_identities" says otherwise. Throws JsonError: unknown fields,
// unusable rules, a default profile that is not among its directory's, a profile whose backend is
// not among "backends".
service::Policy read_policy(const JsonObject& root, const std::string& base_url);

// The name of the directory that /directory is. Throws JsonError when `policy` has none of it.
std::string read_default_directory(const JsonObject& root, const service::Policy& policy);

}  // namespace gatehouse::config
