// Accounts and their lists of orders (RFC 8555 sections 7.3 and 7.1.2.1).
#include "acme-server/core/account.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/accounts/accounts.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/acme/resource_json.h"
#include "acme-server/web/api.h"
#include "acme-server/web/payload.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

// Reads no more than this of a list: how many contacts are taken is policy.
constexpr std::size_t kMaxContactsRead = 100;

http::Response account_response(const Api& api, int status, const Account& account) {
  http::Response response = json_response(status, account_json(account, api.links));
  add(response, "Location", api.links.account(account.directory, account.id));
  return response;
}

// The account in the URL is the one that signed: an account is nobody else's to see.
void check_own(const AccountId& named, const Account& account) {
  if (named != account.id) {
    reject(ProblemType::unauthorized,
           "This is another account than the one that signed the request; its URL is its kid.");
  }
}

http::Response orders_response(Api& api, const PostAsGet& proof,
                               const std::optional<OrderId>& after) {
  const Account& account = proof.account();
  check_own(AccountId(proof.parameter("account")), account);
  const service::Orders::Page page = api.orders.list(account, after);
  Json urls = Json::array();
  for (const OrderId& id : page.orders) {
    urls.push_back(api.links.order(account.directory, id));
  }
  http::Response response = json_response(200, {{"orders", std::move(urls)}});
  if (page.next) {
    add_link(response, api.links.orders(account.directory, account.id, *page.next), "next");
  }
  return response;
}

}  // namespace

http::Response create_account(Api& api, const SignedByKey& proof) {
  auto request = read_payload(proof.payload(), [](const JsonObject& object) {
    return service::Accounts::NewAccount{
        .contacts = object.optional_strings("contact", kMaxContactsRead)
                        .value_or(std::vector<std::string>()),
        .terms_agreed = object.optional_bool("termsOfServiceAgreed").value_or(false),
        .only_return_existing = object.optional_bool("onlyReturnExisting").value_or(false)};
  });
  request.client = proof.client();
  const service::Accounts::Found found =
      api.accounts.find_or_create(proof.directory().name, proof.key(), request);
  return account_response(api, found.created ? 201 : 200, found.account);
}

http::Response show_account(Api& api, const PostAsGet& proof) {
  check_own(AccountId(proof.parameter("account")), proof.account());
  return account_response(api, 200, proof.account());
}

// RFC 8555 section 7.3.2: "The server MUST ignore any updates to the "orders" field,
// "termsOfServiceAgreed" field (see Section 7.3.3), the "status" field (except as allowed by
// Section 7.3.6), or any other fields it does not recognize." What 7.3.3 allows is to agree, once
// the terms have changed.
Answer update_account(Api& api, const SignedByAccount& proof) {
  check_own(AccountId(proof.parameter("account")), proof.account());

  struct Update {
    std::optional<std::vector<std::string>> contacts;
    bool deactivate = false;
    bool agree = false;
  };

  const auto update = read_payload(proof.payload(), [](const JsonObject& object) {
    const Json* const status = object.find("status");
    const Json* const agreed = object.find("termsOfServiceAgreed");
    return Update{.contacts = object.optional_strings("contact", kMaxContactsRead),
                  .deactivate = status != nullptr && *status == "deactivated",
                  .agree = agreed != nullptr && *agreed == true};
  });
  if (update.deactivate) {
    return account_response(api, 200, api.accounts.deactivate(proof.account(), proof.client()));
  }
  Account account = proof.account();
  if (update.contacts) {
    account = api.accounts.set_contacts(account, *update.contacts);
  }
  const std::string& terms = proof.directory().terms_of_service;
  if (update.agree && !terms.empty() && account.terms_agreed != terms) {
    account = api.accounts.agree_to_terms(account);
  }
  return account_response(api, 200, account);
}

http::Response list_orders(Api& api, const PostAsGet& proof) {
  return orders_response(api, proof, std::nullopt);
}

http::Response list_more_orders(Api& api, const PostAsGet& proof) {
  return orders_response(api, proof, OrderId(proof.parameter("after")));
}

}  // namespace gatehouse::web
