// What must hold before a server starts, looked at before anything has started.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/library_version.h"
#include "acme-server/crypto/certificate.h"
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

// The listener's own certificate in a file of such, without its key: the first that is no CA's.
// Throws std::runtime_error naming the file.
crypto::Certificate listener_certificate(const std::string& file);

// Throws std::runtime_error when the folders of the database and of the data cannot be written.
void check_folders(const config::Config& config);

// The certificate and key of a listener from its files, checked: nobody else can read the key, it
// is not encrypted, one certificate is for it and within its dates, and all others are CAs above
// that one. Certificates may come in any form and order that a CA hands out
// (crypto/certificate_bag.h); what is returned is PEM, the leaf first. Throws std::runtime_error
// naming the file.
http::TlsOptions read_tls_files(const config::ListenerConfig& listener, Instant now);

}  // namespace gatehouse::app
