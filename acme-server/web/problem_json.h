// Problems as responses (RFC 7807), and exceptions as problems.
#pragma once

#include <string_view>

#include "acme-server/base/entropy.h"
#include "acme-server/base/log.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"

namespace gatehouse::web {

// application/problem+json in English, with the Retry-After, Location and Allow that `problem`
// carries; userActionRequired links to its instance as the terms of service (RFC 8555
// section 7.3.3).
http::Response problem_response(const Problem& problem);

// For a catch-all handler: the Problem of the exception in flight. A RequestRejected carries one
// for the client. Of anything else the client learns a log id and the log learns the rest; a
// LogicError is logged as a bug.
Problem problem_in_flight(Log& log, Entropy& entropy, const http::Request& request);

// The last part of a problem's URN, for logs and metrics: "badNonce".
std::string_view short_name(std::string_view urn);

}  // namespace gatehouse::web
