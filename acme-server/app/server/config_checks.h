// What a config says against the parts that there are: what its own module cannot know.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/service/certificates/unpublished_crls.h"
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

// Holds the CRLs that certificates point to against what the config's backends publish. Throws
// std::runtime_error beginning with the file's name when a backend of such certificates is neither
// in the config nor retired, so that their revocations would reach nobody, without a word, or when
// public_url was changed under them. Returns a sentence for each other CRL that is not published
// any more, since an issuer was taken out of its backend, or crl_shards was lowered.
std::vector<std::string> check_crls(const config::Config& config,
                                    const std::vector<store::CrlInUse>& in_use,
                                    const service::PublishedCrls& published);

// The same against the database as it is, beside a server that runs too: no lock is taken, and no
// key opened. Returns what check_crls() does, or a sentence on why the database was not looked at.
std::vector<std::string> check_database(const config::Config& config, Clock& clock);

// All that is wrong with the options of every validator and backend and with the profiles that name
// them; an issuing CA that still waits for its certificate (`gatehouse init --csr`) is told with
// the next step. Opens nothing. Each begins with the option's path.
std::vector<std::string> faults_of_parts(const config::Config& config);

// Throws ConfigError for the first of them.
void check_parts(const config::Config& config);

}  // namespace gatehouse::app
