// The validators of this server, made from the "validators" object of its config.
#pragma once

#include "acme-server/base/json.h"
#include "acme-server/net/egress.h"
#include "validators/validator.h"

namespace gatehouse::validators {

// One validator of each kind, with its options or its defaults. `egress` outlives the set; a
// validator gets no other way to the net. Throws JsonError naming the option that is unknown or
// wrong.
ValidatorSet make_validators(const JsonObject& options, net::Egress& egress);

// Throws as make_validators does, and makes nothing: for check-config.
void check_validator_options(const JsonObject& options);

}  // namespace gatehouse::validators
