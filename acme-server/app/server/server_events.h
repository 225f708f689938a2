// What the audit trail and the log say of the server itself: that it started, reloaded, stopped, or
// what ended it.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store_options.h"
#include "config/config.h"

namespace gatehouse::app {

// The SHA-256 of the config file, hex, as `sha256sum` prints it.
std::string hash_of(const config::Config& config);

// "server.started": the version, the config and its hash, and the paths that --set put over it.
store::AuditEvent started_event(const config::Config& config);
// "server.reloaded": who asked for it, the hash, and the paths that `changes` names.
store::AuditEvent reloaded_event(const config::Config& config,
                                 const std::vector<std::string>& changes, const Principal& by);
// "server.stopped": who asked for it, and whether every request in flight got its answer.
store::AuditEvent stopped_event(const Principal& by, bool drained);

// A disk that does not keep what was written ends the process, and the log has its last line.
// Leaves an `on_fatal` that is there. `log` outlives the store.
store::StoreOptions with_last_words(store::StoreOptions options, Log& log);

}  // namespace gatehouse::app
