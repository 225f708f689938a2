// THE TABLE: every ACME endpoint, and how it is authenticated.
#pragma once

#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/api.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

// `api` and `auth` outlive the router.
Router acme_routes(Api& api, RequestAuth& auth);

// The pattern of the directory: the one resource that does not link to itself as the index (RFC
// 8555 section 7.1).
inline constexpr const char* kDirectoryPattern = "/directory";

}  // namespace gatehouse::web
