// The backends and validators that a config names, with what the environment puts round them.
#pragma once

#include <memory>

#include "acme-server/app/server/environment.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/net/egress.h"
#include "ca-backends/backend.h"
#include "config/config.h"
#include "validators/validator.h"

namespace gatehouse::app {

// Throw JsonError that names the option, or std::runtime_error that names the file. `environment`,
// and for the validators `egress`, outlive what is returned.
backends::BackendSet make_backends(const config::Config& config, Environment& environment,
                                   const std::shared_ptr<crypto::ChainChecker>& chains);
validators::ValidatorSet make_validators(const config::Config& config, Environment& environment,
                                         net::Egress& egress);

}  // namespace gatehouse::app
