// What a config says against the parts that there are: what its own module cannot know.
#pragma once

#include "acme-server/base/json.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/store.h"
#include "config/config.h"
#include "validators/validator.h"

namespace gatehouse::app {

// Throws JsonError naming the option when a profile enables a challenge type that no validator has,
// or names a backend that there is not: such a profile could never issue.
void check_profiles(const service::Policy& policy, const validators::ValidatorSet& validators,
                    const Json& backends);

// Throws std::runtime_error beginning with the file's name when the store has valid accounts in a
// directory that the config does not name: none of their requests could be answered.
void check_directories(const config::Config& config, store::Store& store);

// What check_profiles() does, and the options of every validator, backend and the resolver; an
// issuing CA that still waits for its certificate (`gatehouse init --csr`) is told with the next
// step. Opens nothing. Throws JsonError or std::runtime_error beginning with the file's name.
void check_parts(const config::Config& config);

}  // namespace gatehouse::app
