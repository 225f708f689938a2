// What the config would have issued, tried out before anybody asks for it.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/core/identifier.h"
#include "ca-backends/backend.h"
#include "config/config.h"

namespace gatehouse::app {

// Whether a listener is to have a certificate that the server issues to itself.
bool wants_own_certificate(const config::Config& config);

// The names of that certificate: base_url's host and those of allowed_hosts, which are what Host is
// checked against. Throws ConfigError for one that no certificate can name.
std::vector<Identifier> own_identifiers(const config::Config& config);

// Decides the own certificate and one of each profile of `backends`, as for an order, and has
// OpenSSL verify each with its chain. A sentence for each that no verifier would accept, beginning
// with the option's path; profiles of backends that are not among `backends` are left out. Nothing
// is signed: a signature without a stored intent is what must never be.
std::vector<std::string> dry_run(const config::Config& config, const backends::BackendSet& backends,
                                 Instant now);

// The same with the config's backends, made of their files; private keys are not read. A backend
// whose secrets only the unit has (lacks_credentials()) is left out. Throws what making a backend
// throws.
std::vector<std::string> dry_run(const config::Config& config, Clock& clock, Entropy& entropy);

// Of profiles whose certificates cannot last as long as they say, since a CA of the config's
// backends ends before: a sentence for each, beginning with the option's path, with the limit and
// what to do. A warning, no refusal: every CA comes to that point, and the server goes on issuing
// up to its end and publishing its CRLs. Throws what making a backend throws.
std::vector<std::string> validity_warnings(const config::Config& config, Clock& clock,
                                           Entropy& entropy);

// Throws ConfigError when the dry run of `backends` says anything: its first sentence, and
// how many more there are.
void require_usable_certificates(const config::Config& config, const backends::BackendSet& backends,
                                 Instant now);

// Throws ConfigError, as require_usable_certificates() does, for what a dry run has said.
void require_none(const config::Config& config, const std::vector<std::string>& problems);

}  // namespace gatehouse::app
