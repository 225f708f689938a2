#include "acme-server/web/admin/operator_auth.h"

#include <algorithm>
#include <string>

#include "acme-server/base/json.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/listener_options.h"
#include "acme-server/web/responses.h"
#include "acme-server/web/router.h"

namespace gatehouse::web {

Principal OperatorAuth::prove(const http::Request& request) const {
  const auto uid = request.peer.uid;
  if (request.listener != kControlListener || !uid ||
      std::ranges::find(uids_, *uid) == uids_.end()) {
    reject({.type = ProblemType::unauthorized,
            .detail = "Commands are taken from root and from the server's own user, over its "
                      "control socket.",
            .status = 403});
  }
  return OperatorByUid{*uid};
}

ProvenEndpoint OperatorAuth::command(Command handler) {
  return ProvenEndpoint([this, handler](const Call& call) {
    const std::string& body = call.request.body;
    const OperatorRequest request(prove(call.request), body.empty() ? "{}" : body);
    http::Response response = json_response(200, handler(admin_, request));
    add(response, "Cache-Control", "no-store");
    return response;
  });
}

}  // namespace gatehouse::web
