// Core values as the JSON objects of RFC 8555 section 7.1.
#pragma once

#include "acme-server/base/json.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/web/links.h"

namespace gatehouse::web {

Json account_json(const Account& account, const Links& links);
Json order_json(const service::OrderView& view, const Links& links);
// `authorization.status` is the one to show, expired included.
Json authorization_json(const Authorization& authorization, const Links& links);
Json challenge_json(const Challenge& challenge, const DirectoryId& directory, const Links& links);

}  // namespace gatehouse::web
