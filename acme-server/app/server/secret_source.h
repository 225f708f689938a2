// Secrets by reference: "file:PATH", "credential:NAME" (of the service manager) or "env:NAME". The
// secret itself never stands in a config file or on a command line, where others could read it.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"

namespace gatehouse::app {

// The text behind `reference`, without a line end at its end. A relative path starts at `folder`.
// Throws std::runtime_error naming the reference: another form, no such variable, an empty secret,
// a file that cannot be read or that others can read.
Secret read_secret(std::string_view reference, const std::string& folder);

// Whether `options` have a reference "credential:…" while the service manager has given this
// process none: what it is for can be tried out by the unit alone.
bool lacks_credentials(const Json& options);

}  // namespace gatehouse::app
