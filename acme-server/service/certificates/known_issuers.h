// The issuers that outlive their backend's knowledge of them.
#pragma once

#include "acme-server/service/context.h"

namespace gatehouse::service {

// Stores the issuers that the backends have now, and has `context.backends` keep those that were
// stored before and no backend has: a CA that has not been reached since the start, an issuer or a
// backend taken out of the config. One that no certificate and no unfinished intent needs any more
// is dropped. Each change is audited ("issuer.added", ".changed", ".removed"). Called at start
// before anything is served, and whenever a backend has renewed its issuers. Safe to call from many
// threads. Throws std::runtime_error for a stored issuer that cannot be read.
void remember_issuers(Context& context);

}  // namespace gatehouse::service
