// `gatehouse order list | show | resume | fail | adopt`.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/text.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/service/issuance/doubt.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/service/operations/order_diagnosis.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/json.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

[[noreturn]] void reject_unknown_order(const OrderId& id) {
  reject({.type = ProblemType::malformed,
          .detail = "There is no order " + sanitize(id.str(), 100) +
                    "; `gatehouse order list` shows the newest.",
          .status = 404});
}

OrderId read_order(const OperatorRequest& request) {
  return read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"order"});
    return OrderId(object.string("order", 100));
  });
}

Json job_json(const std::optional<store::JobState>& job) {
  if (!job) return nullptr;
  return {{"parked", job->parked},
          {"running", job->leased},
          {"run_at", to_rfc3339(job->run_at)},
          {"failures", job->attempts},
          {"note", job->note}};
}

Json authorization_json(const Authorization& authorization, Instant now) {
  Json challenges = Json::array();
  for (const Challenge& challenge : authorization.challenges) {
    challenges.push_back(
        {{"id", challenge.id.str()},
         {"type", challenge.type},
         {"status", to_string(challenge.status)},
         {"attempts", challenge.attempts},
         {"next_attempt",
          challenge.next_attempt ? Json(to_rfc3339(*challenge.next_attempt)) : Json()},
         {"validated", challenge.validated ? Json(to_rfc3339(*challenge.validated)) : Json()},
         {"error", challenge.error ? to_json(*challenge.error) : Json()}});
  }
  return {{"id", authorization.id.str()},
          {"identifier", authorization.identifier.base().value},
          {"wildcard", authorization.identifier.is_wildcard()},
          {"status", to_string(status_of(authorization, now))},
          {"expires", to_rfc3339(authorization.expires)},
          {"challenges", std::move(challenges)}};
}

Json whole(Admin& admin, const OrderId& id) {
  const auto diagnosis = admin.inventory.order(id);
  if (!diagnosis) reject_unknown_order(id);
  const Instant now = admin.context.clock.now();
  Json json = admin_json(service::OrderView{
      .order = diagnosis->order, .status = diagnosis->status, .retry_after = {}});
  json["why"] = service::explain(*diagnosis, now);
  json["authorizations"] = Json::array();
  for (const Authorization& each : diagnosis->authorizations) {
    json["authorizations"].push_back(authorization_json(each, now));
  }
  json["issuances"] = Json::array();
  for (const auto& each : diagnosis->issuances) {
    json["issuances"].push_back({{"id", each.id.str()},
                                 {"state", store::to_string(each.state)},
                                 {"backend", each.backend},
                                 {"serial", each.serial},
                                 {"created", to_rfc3339(each.created)},
                                 {"not_after", to_rfc3339(each.not_after)}});
  }
  json["job"] = job_json(diagnosis->issuing);
  json["events"] = Json::array();
  for (const auto& row : diagnosis->events) json["events"].push_back(admin_json(row));
  return json;
}

Json json_of(const std::vector<service::FailedProof>& failed) {
  Json list = Json::array();
  for (const service::FailedProof& each : failed) {
    list.push_back({{"identifier", each.identifier.value},
                    {"challenge", each.challenge},
                    {"problem", to_json(each.problem)}});
  }
  return list;
}

}  // namespace

Json list_orders_for_operator(Admin& admin, const OperatorRequest& request) {
  struct Query {
    std::string account, after, status;
    std::size_t limit = 0;
    bool undecided = false;
  };

  const Query query = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"account", "status", "after", "limit", "undecided"});
    Query read{.account = text_or_empty(object, "account"),
               .after = text_or_empty(object, "after"),
               .status = text_or_empty(object, "status"),
               .limit = page_limit(object),
               .undecided = object.optional_bool("undecided").value_or(false)};
    const auto known = {"", "pending", "ready", "processing", "valid", "invalid"};
    if (std::ranges::find(known, read.status) == known.end()) {
      throw JsonError("status is none of: pending, ready, processing, valid, invalid");
    }
    return read;
  });
  const auto page = query.undecided
                        ? admin.inventory.undecided_orders(query.after, query.limit)
                        : admin.inventory.orders(query.account, query.after, query.limit);
  Json list = Json::array();
  for (const auto& listed : page.orders) {
    if (!query.status.empty() && to_string(listed.view.status) != query.status) continue;
    const auto& account = listed.view.order.account;
    if (!query.account.empty() && (!account || account->str() != query.account)) continue;
    Json json = admin_json(listed.view);
    if (listed.asked_again) json["asked_again"] = to_rfc3339(*listed.asked_again);
    json["failed_proofs"] = json_of(listed.failed_proofs);
    list.push_back(std::move(json));
  }
  return {{"orders", std::move(list)}, {"next", page.next.empty() ? Json() : Json(page.next)}};
}

Json show_order_to_operator(Admin& admin, const OperatorRequest& request) {
  return whole(admin, read_order(request));
}

Json resume_order(Admin& admin, const OperatorRequest& request) {
  const OrderId id = read_order(request);
  if (!admin.inventory.resume_order(id, request.actor())) {
    if (!admin.inventory.order(id)) reject_unknown_order(id);
    reject({.type = ProblemType::malformed,
            .detail = "The order's issuance is not parked; `gatehouse order show` tells why it "
                      "stands where it stands.",
            .status = 409});
  }
  return whole(admin, id);
}

Json fail_order_by_operator(Admin& admin, const OperatorRequest& request) {
  struct Command {
    OrderId order;
    std::string why;
  };

  const auto command = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"order", "why"});
    return Command{.order = OrderId(object.string("order", 100)),
                   .why = object.string("why", 1000)};
  });
  service::fail_order(admin.context, command.order, command.why, request.actor());
  return whole(admin, command.order);
}

Json adopt_certificate_for_order(Admin& admin, const OperatorRequest& request) {
  struct Command {
    OrderId order;
    std::string certificate;
  };

  const auto command = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"order", "certificate"});
    return Command{.order = OrderId(object.string("order", 100)),
                   .certificate = object.string("certificate", crypto::kMaxCertificateBytes)};
  });
  const auto file = base64_decode(command.certificate);
  if (!file) reject(ProblemType::malformed, "The certificate's octets are not base64.");
  service::adopt_certificate(admin.context, command.order, as_text(*file), request.actor());
  return whole(admin, command.order);
}

}  // namespace gatehouse::web
