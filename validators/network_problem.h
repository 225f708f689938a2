// What went wrong on the net, as a Problem that a site owner can act on.
#pragma once

#include <string_view>

#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/network_error.h"

namespace gatehouse::validators {

// `challenge_type` begins the sentence, what to do next ends it. `port` is the one validation
// connects to first.
Problem network_problem(const net::NetworkError& error, std::string_view challenge_type,
                        const Identifier& identifier, int port);

}  // namespace gatehouse::validators
