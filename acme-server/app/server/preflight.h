// What must hold before a server starts, looked at before anything has started.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/library_version.h"
#include "acme-server/http/http_options.h"
#include "config/config.h"

namespace gatehouse::app {

// The libraries that the server stands on, as they are loaded: OpenSSL, SQLite, c-ares.
std::vector<LibraryVersion> library_versions();

// Throws std::runtime_error, in one sentence that names the thing and the next step (of which a
// TransientFailure passes by itself), when `config`
// could not be served: an option that no part understands, a library older than we support, a clock
// that is plainly wrong, folders that cannot be written, keys that others can read, a listener's
// key and certificate that do not fit or are out of date, a port in use. Opens nothing for longer
// than it takes to look.
void preflight(const config::Config& config, const Clock& clock);

// The certificate and key of a listener from its files, checked: the key is the first
// certificate's, nobody else can read it, it is not encrypted, the chain is one and within its
// dates. Throws std::runtime_error naming the file.
http::TlsOptions read_tls_files(const config::ListenerConfig& listener, Instant now);

}  // namespace gatehouse::app
