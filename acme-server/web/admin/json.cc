#include "acme-server/web/admin/json.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/service/events.h"
#include "acme-server/service/operations/inventory.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kLongestText = 300;  // a name has 253 characters, an id 43

template <class Id>
Json id_or_null(const std::optional<Id>& id) {
  return id ? Json(id->str()) : Json(nullptr);
}

std::string status_of(const CertificateRecord& certificate, Instant now) {
  if (certificate.revocation) return "revoked";
  return certificate.not_after < now ? "expired" : "valid";
}

}  // namespace

Json admin_json(const CertificateRecord& certificate, Instant now) {
  Json json = {{"id", certificate.id.str()},
               {"status", status_of(certificate, now)},
               {"serial", certificate.serial},
               {"issuer", certificate.issuer.str()},
               {"backend", certificate.backend},
               {"identifiers", service::json_of(certificate.identifiers)},
               {"not_before", to_rfc3339(certificate.not_before)},
               {"not_after", to_rfc3339(certificate.not_after)},
               {"issued", to_rfc3339(certificate.issued_at)},
               {"directory", certificate.directory.str()},
               {"account", id_or_null(certificate.account)},
               {"order", certificate.order.str()},
               {"revocation", nullptr}};
  if (certificate.revocation) {
    json["revocation"] = {{"at", to_rfc3339(certificate.revocation->at)},
                          {"reason", certificate.revocation->reason}};
  }
  return json;
}

Json admin_json(const Account& account) {
  return {{"id", account.id.str()},
          {"status", to_string(account.status)},
          {"directory", account.directory.str()},
          {"contacts", account.contacts},
          {"created", to_rfc3339(account.created)},
          {"terms_agreed", account.terms_agreed},
          {"thumbprint", account.key_thumbprint}};
}

Json admin_json(const service::OrderView& view) {
  const Order& order = view.order;
  return {{"id", order.id.str()},
          {"status", to_string(view.status)},
          {"identifiers", service::json_of(order.identifiers)},
          {"profile", order.profile},
          {"created", to_rfc3339(order.created)},
          {"expires", to_rfc3339(order.expires)},
          {"finalized", order.finalization ? Json(to_rfc3339(order.finalization->at)) : Json()},
          {"directory", order.directory.str()},
          {"account", id_or_null(order.account)},
          {"certificate", id_or_null(order.certificate)},
          {"error", order.error ? to_json(*order.error) : Json()}};
}

Json admin_json(const store::AuditRow& row) {
  return json_of(row);
}

std::optional<Instant> optional_instant(const JsonObject& object, std::string_view name) {
  const auto text = object.optional_string(name, kLongestText);
  if (!text) return std::nullopt;
  const auto instant = from_rfc3339(*text);
  if (!instant) {
    throw JsonError(object.path_of(name) + " is no time such as 2026-12-31T00:00:00Z");
  }
  return instant;
}

std::size_t page_limit(const JsonObject& object) {
  return static_cast<std::size_t>(
      object.optional_integer("limit", 1, kPageLimit).value_or(kPageLimit));
}

std::string text_or_empty(const JsonObject& object, std::string_view name) {
  return object.optional_string(name, kLongestText).value_or("");
}

}  // namespace gatehouse::web
