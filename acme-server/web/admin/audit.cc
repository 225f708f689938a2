// `gatehouse audit show | verify`.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "acme-server/base/json.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/json.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

constexpr std::int64_t kLastSequence = std::int64_t{1} << 53;  // what any JSON reader can hold

// As the trail has it; empty: nobody in particular. A mistyped one is refused, or it would look as
// if nothing had been done by it.
std::string actor_of(const JsonObject& object) {
  std::string text = text_or_empty(object, "actor");
  if (!text.empty() && std::holds_alternative<UnknownPrincipal>(parse_principal(text))) {
    throw JsonError(object.path_of("actor") +
                    ": write account:ID, operator:UID, key:SHA256 (in hex) or server");
  }
  return text;
}

}  // namespace

Json list_audit_events(Admin& admin, const OperatorRequest& request) {
  struct Query {
    store::AuditFilter filter;
    std::int64_t after = 0;
    std::size_t limit = 0;
  };

  const Query query = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"account", "order", "certificate", "kind", "actor", "since", "after", "limit"});
    return Query{.filter = {.account = text_or_empty(object, "account"),
                            .order = text_or_empty(object, "order"),
                            .certificate = text_or_empty(object, "certificate"),
                            .kind = text_or_empty(object, "kind"),
                            .actor = actor_of(object),
                            .since = optional_instant(object, "since")},
                 .after = object.optional_integer("after", 0, kLastSequence).value_or(0),
                 .limit = page_limit(object)};
  });
  const auto page = admin.inventory.audit(query.filter, query.after, query.limit);
  Json list = Json::array();
  for (const auto& row : page.rows) list.push_back(admin_json(row));
  return {{"events", std::move(list)}, {"next", page.next ? Json(*page.next) : Json()}};
}

// A slice of the chain: the caller goes on behind it until the end.
Json verify_audit_events(Admin& admin, const OperatorRequest& request) {
  const auto from = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"sequence", "hash"});
    return store::AuditHead{
        .sequence = object.optional_integer("sequence", 0, kLastSequence).value_or(0),
        .hash = object.optional_string("hash", 64).value_or("")};
  });
  const auto verified = admin.inventory.verify_audit(from);
  return {{"sequence", verified.head.sequence},
          {"hash", verified.head.hash},
          {"broken", verified.broken ? Json(*verified.broken) : Json()},
          {"end", verified.end}};
}

}  // namespace gatehouse::web
