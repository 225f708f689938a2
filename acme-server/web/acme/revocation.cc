// Revocation (RFC 8555 section 7.6).
#include <cstdint>
#include <limits>
#include <optional>

#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/revocation_reason.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/http/http.h"
#include "acme-server/web/acme/endpoints.h"
#include "acme-server/web/acme/request_auth.h"
#include "acme-server/web/api.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

struct Request {
  Bytes certificate;
  std::optional<std::int64_t> reason;
};

// Which reasons are allowed is the service's business; what is no integer at all ("1", 1.0, null,
// 2^63) is no reason.
std::optional<std::int64_t> read_reason(const JsonObject& object) {
  const Json* const reason = object.find("reason");
  if (reason == nullptr) {
    return std::nullopt;
  }
  const bool too_large =
      reason->is_number_unsigned() &&
      reason->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (!reason->is_number_integer() || too_large) {
    reject(ProblemType::badRevocationReason,
           "reason is no reason code of RFC 5280 section 5.3.1; send one of " +
               list_revocation_reasons(Revoked::end_entity) + ", or leave it out.");
  }
  return reason->get<std::int64_t>();
}

Request read_request(const JsonObject& object) {
  return {.certificate = base64url_field(object, "certificate", crypto::kMaxCertificateBytes),
          .reason = read_reason(object)};
}

}  // namespace

Answer revoke_by_account(Api& api, const SignedByAccount& proof) {
  const Request request = read_payload(proof.payload(), read_request);
  api.revocation.by_account(proof.account(), request.certificate, request.reason, proof.client());
  return http::Response{};
}

http::Response revoke_by_key(Api& api, const SignedByKey& proof) {
  const Request request = read_payload(proof.payload(), read_request);
  api.revocation.by_key(proof.key(), request.certificate, request.reason, proof.client());
  return {};
}

}  // namespace gatehouse::web
