// `gatehouse certificate list | show | revoke`.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/operations/inventory.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/json.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

CertificateRecord the_one(Admin& admin, const std::string& asked) {
  std::vector<CertificateRecord> found = admin.inventory.certificate(asked);
  if (found.empty()) {
    reject({.type = ProblemType::malformed,
            .detail = "There is no certificate with the id or serial " + sanitize(asked, 100) +
                      "; `gatehouse certificate list --name NAME` finds it by a name.",
            .status = 404});
  }
  if (found.size() > 1) {
    std::vector<std::string> ids;
    for (const CertificateRecord& each : found) ids.push_back(each.id.str());
    reject({.type = ProblemType::malformed,
            .detail = "Several issuers have used that serial; name the certificate by its id: " +
                      join(ids, ", ") + ".",
            .status = 409});
  }
  return std::move(found.front());
}

Json whole(Admin& admin, const CertificateRecord& certificate) {
  Json json = admin_json(certificate, admin.context.clock.now());
  json["profile"] = admin.inventory.profiles_of({certificate}).front();
  json["crl"] = certificate.crl_url;
  json["spki_sha256"] = certificate.spki_sha256;
  json["chain_pem"] = certificate.chain_pem;
  json["alternate_chains_pem"] = certificate.alternate_chains_pem;
  return json;
}

}  // namespace

Json list_certificates(Admin& admin, const OperatorRequest& request) {
  struct Query {
    store::CertificateFilter filter;
    std::optional<CertificateId> after;
    std::size_t limit = 0;
  };

  const Query query = read_payload(request.payload(), [](const JsonObject& object) {
    object.only(
        {"name", "account", "ends_at_or_after", "ends_before", "revoked", "after", "limit"});
    Query read;
    read.filter = {.name = to_lower(text_or_empty(object, "name")),
                   .account = text_or_empty(object, "account"),
                   .ends_at_or_after = optional_instant(object, "ends_at_or_after"),
                   .ends_before = optional_instant(object, "ends_before"),
                   .revoked = object.optional_bool("revoked").value_or(false)};
    if (const auto after = object.optional_string("after", 100)) read.after = CertificateId(*after);
    read.limit = page_limit(object);
    return read;
  });
  const auto page = admin.inventory.certificates(query.filter, query.after, query.limit);
  const Instant now = admin.context.clock.now();
  Json list = Json::array();
  const std::vector<std::string> profiles = admin.inventory.profiles_of(page.certificates);
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    Json json = admin_json(page.certificates[i], now);
    json["profile"] = profiles[i];
    list.push_back(std::move(json));
  }
  return {{"certificates", std::move(list)},
          {"next", page.next ? Json(page.next->str()) : Json(nullptr)}};
}

Json show_certificate(Admin& admin, const OperatorRequest& request) {
  const std::string asked = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"certificate"});
    return object.string("certificate", 100);
  });
  return whole(admin, the_one(admin, asked));
}

Json revoke_certificate_by_operator(Admin& admin, const OperatorRequest& request) {
  struct Command {
    std::string certificate;
    int reason = 0;
  };

  const auto command = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"certificate", "reason"});
    return Command{
        .certificate = object.string("certificate", 100),
        .reason = static_cast<int>(object.optional_integer("reason", 0, 10).value_or(0))};
  });
  const CertificateRecord certificate = the_one(admin, command.certificate);
  const auto not_published =
      admin.revocation.by_operator(certificate.id, command.reason, request.actor());
  if (not_published) {
    reject({.type = ProblemType::serverInternal,
            .detail = "The certificate " + certificate.serial +
                      " is revoked in the database, but nobody learns of it: " + *not_published +
                      ".",
            .status = 500});
  }
  return whole(admin, the_one(admin, certificate.id.str()));
}

}  // namespace gatehouse::web
