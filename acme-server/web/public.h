// The public listener: CRLs, issuers and roots, for anyone (RFC 5280 sections 4.2.1.13
// and 4.2.2.1).
#pragma once

#include "acme-server/base/clock.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates/certificates.h"

namespace gatehouse::web {

// GET and HEAD of what `files` has: rejects the rest (404) and other methods (405). The body is
// `files`' own, not a copy. Caches may keep a file until it expires, an hour if it does not say; an
// If-Modified-Since that names the version in force gets a 304.
http::Response serve_public(service::PublicFiles& files, const http::Request& request, Instant now);

}  // namespace gatehouse::web
