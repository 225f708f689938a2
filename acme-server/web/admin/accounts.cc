// `gatehouse account list | show | deactivate`.
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/json.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"
#include "acme-server/web/problem_json.h"

namespace gatehouse::web {
namespace {

AccountId read_account(const OperatorRequest& request) {
  return read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"account"});
    return AccountId(object.string("account", 100));
  });
}

Json whole(Admin& admin, const AccountId& id) {
  const auto view = admin.inventory.account(id);
  if (!view) {
    reject({.type = ProblemType::accountDoesNotExist,
            .detail = "There is no account " + sanitize(id.str(), 100) +
                      "; `gatehouse account list` shows those that there are.",
            .status = 404});
  }
  Json json = admin_json(view->account);
  json["key"] = parse_json(view->account.key_jwk);
  json["open_orders"] = view->open_orders;
  json["refusals"] = Json::array();
  for (const store::Refusal& refusal : view->refusals) {
    json["refusals"].push_back({{"last", to_rfc3339(refusal.last)},
                                {"first", to_rfc3339(refusal.first)},
                                {"count", refusal.count},
                                {"problem", short_name(urn_of(refusal.type))},
                                {"status", refusal.status},
                                {"order", refusal.order ? Json(refusal.order->str()) : Json()},
                                {"route", refusal.route},
                                {"client", refusal.client},
                                {"detail", refusal.detail}});
  }
  return json;
}

}  // namespace

Json list_accounts(Admin& admin, const OperatorRequest& request) {
  struct Query {
    std::optional<AccountId> after;
    std::size_t limit = 0;
  };

  const Query query = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"after", "limit"});
    Query read;
    if (const auto after = object.optional_string("after", 100)) read.after = AccountId(*after);
    read.limit = page_limit(object);
    return read;
  });
  const std::vector<Account> accounts = admin.inventory.accounts(query.after, query.limit);
  Json list = Json::array();
  for (const Account& account : accounts) list.push_back(admin_json(account));
  return {{"accounts", std::move(list)},
          {"next", accounts.size() == query.limit ? Json(accounts.back().id.str()) : Json()}};
}

Json show_account_to_operator(Admin& admin, const OperatorRequest& request) {
  return whole(admin, read_account(request));
}

Json deactivate_account_by_operator(Admin& admin, const OperatorRequest& request) {
  const AccountId id = read_account(request);
  admin.accounts.deactivate_by_operator(id, request.actor());
  return whole(admin, id);
}

}  // namespace gatehouse::web
