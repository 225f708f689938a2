// Orders (RFC 8555 section 7.4).
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/http/http.h"
#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/acme/resource_json.h"
#include "acme-server/web/answer.h"
#include "acme-server/web/api.h"
#include "acme-server/web/payload.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxIdentifierType = 32;
constexpr std::size_t kMaxIdentifierValue =
    1024;  // of DNS names 253; the rest is for telling what is wrong
constexpr std::size_t kMaxProfileName = 128;

std::optional<Instant> instant_field(const JsonObject& object, std::string_view name) {
  const std::optional<std::string> text = object.optional_string(name, 64);
  if (!text) {
    return std::nullopt;
  }
  const std::optional<Instant> instant = from_rfc3339(*text);
  if (!instant) {
    throw JsonError(object.path_of(name) + " is no RFC 3339 time, as 2026-01-02T03:04:05Z is");
  }
  return instant;
}

service::Orders::NewOrder read_new_order(const JsonObject& object) {
  service::Orders::NewOrder order{
      .identifiers = {},
      .not_before = instant_field(object, "notBefore"),
      .not_after = instant_field(object, "notAfter"),
      .profile = object.optional_string("profile", kMaxProfileName).value_or("")};
  const Json* const identifiers = object.optional_array("identifiers");
  if (identifiers == nullptr) {
    throw JsonError(R"(identifiers is missing; send an array of {"type", "value"})");
  }
  for (std::size_t i = 0; i < identifiers->size(); ++i) {
    const JsonObject identifier((*identifiers)[i], "identifiers[" + std::to_string(i) + "]");
    order.identifiers.push_back({.type = identifier.string("type", kMaxIdentifierType),
                                 .value = identifier.string("value", kMaxIdentifierValue)});
  }
  return order;
}

http::Response order_response(const Api& api, int status, const service::OrderView& view) {
  http::Response response = json_response(status, order_json(view, api.links));
  add(response, "Location", api.links.order(view.order.directory, view.order.id));
  if (view.retry_after) {
    add_retry_after(response, *view.retry_after);
  }
  return response;
}

}  // namespace

Answer create_order(Api& api, const SignedByAccount& proof) {
  auto request = read_payload(proof.payload(), read_new_order);
  request.client = proof.client();
  return order_response(api, 201, api.orders.create(proof.account(), request));
}

http::Response show_order(Api& api, const PostAsGet& proof) {
  const auto view = api.orders.get(proof.account(), OrderId(proof.parameter("order")));
  if (!view) {
    reject_unknown("order");
  }
  return order_response(api, 200, *view);
}

Answer finalize_order(Api& api, const SignedByAccount& proof) {
  const OrderId id(proof.parameter("order"));
  const Bytes csr = read_payload(proof.payload(), [](const JsonObject& object) {
    return base64url_field(object, "csr", crypto::kMaxCsrBytes);
  });
  try {
    service::Ticket ticket;
    const auto view = api.orders.finalize(proof.account(), id, csr, &ticket, proof.client());
    if (!view) {
      reject_unknown("order");
    }
    http::Response now = order_response(api, 200, *view);
    if (!ticket) {
      return now;
    }
    // RFC 8555 section 7.4: "If a request to finalize an order is successful, the server will
    // return a 200 (OK) with an updated order object. The status of the order will indicate what
    // action the client should take": any status, "valid" among them.
    const auto anew = [&api, account = proof.account(), id] {
      return order_response(api, 200, api.orders.get(account, id).value());
    };
    return {std::move(now), std::move(ticket), anew};
  } catch (const RequestRejected& rejected) {
    // A client whose first try was answered into the void learns here where to look
    // (docs/choices.md).
    if (rejected.problem().type != ProblemType::orderNotReady) {
      throw;
    }
    Problem problem = rejected.problem();
    problem.location = api.links.order(proof.directory().name, id);
    reject(std::move(problem));
  }
}

}  // namespace gatehouse::web
