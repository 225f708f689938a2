#include "acme-server/web/admin/operator_auth.h"

#include <algorithm>
#include <exception>
#include <string>

#include "acme-server/base/check.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/technical_detail.h"
#include "acme-server/base/text.h"
#include "acme-server/base/transient_error.h"
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

// A failure in its own words: whoever commands is the operator whom clients are sent to.
Problem OperatorAuth::failed(const http::Request& request, const std::exception& failure) const {
  admin_.context.log.error("command.failed", {{"command", sanitize(request.target, 100)},
                                              {"reason", failure.what()},
                                              {"at", technical_detail_of(failure)}});
  const bool passes = dynamic_cast<const TransientError*>(&failure) != nullptr;
  return {
      .type = ProblemType::serverInternal, .detail = failure.what(), .status = passes ? 503 : 500};
}

ProvenEndpoint OperatorAuth::command(Command handler) {
  return ProvenEndpoint([this, handler](const Call& call) {
    const std::string& body = call.request.body;
    const OperatorRequest request(prove(call.request), body.empty() ? "{}" : body);
    try {
      http::Response response = json_response(200, handler(admin_, request));
      add(response, "Cache-Control", "no-store");
      return response;
    } catch (const RequestRejected&) {
      throw;
    } catch (const LogicError&) {
      throw;  // a fault of ours, with its place in the log
    } catch (const std::exception& failure) {
      reject(failed(call.request, failure));
    }
  });
}

}  // namespace gatehouse::web
