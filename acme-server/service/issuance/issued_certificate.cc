#include "acme-server/service/issuance/issued_certificate.h"

#include <chrono>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/issuance_checks.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"

namespace gatehouse::service {
namespace {

// How far ahead of ours the clock of a CA may be.
constexpr std::chrono::minutes kCaClockSlack{5};

store::AuditEvent issued_event(const Order& order, const store::Issuance& issuance,
                               const CertificateRecord& record, const crypto::Certificate& leaf,
                               const Principal& actor) {
  store::AuditEvent event = event_of_intent("certificate.issued", order, issuance, actor);
  event.certificate = record.id;
  event.details["serial"] = record.serial;
  event.details["issuer"] = record.issuer.str();
  event.details["der_sha256"] = crypto::sha256_hex(leaf.der);
  event.details["not_before"] = to_rfc3339(record.not_before);
  event.details["not_after"] = to_rfc3339(record.not_after);
  event.details["identifiers"] = json_of(record.identifiers);
  event.details["profile"] = issuance.profile;
  event.details["client"] = client_of(order);
  return event;
}

}  // namespace

std::string client_of(const Order& order) {
  return order.finalization ? order.finalization->client : "";
}

store::AuditEvent event_of_intent(std::string_view kind, const Order& order,
                                  const store::Issuance& issuance, const Principal& actor) {
  store::AuditEvent event = event_of(kind, order, actor);
  event.details["issuance"] = issuance.id.str();
  event.details["backend"] = issuance.backend;
  event.details["serial"] = issuance.serial;
  return event;
}

Expected<CheckedCertificate, std::string> check_answer(Context& context,
                                                       const backends::Backend& backend,
                                                       const backends::Issued& issued,
                                                       const backends::Intent& intent,
                                                       const store::Issuance& issuance) {
  const std::vector<backends::IssuersSnapshot> known = context.backends.known_issuers(backend.name);
  std::vector<const backends::Issuer*> issuers;
  for (const backends::IssuersSnapshot& snapshot : known) {
    for (const backends::Issuer& issuer : snapshot->all) issuers.push_back(&issuer);
  }
  auto checked = check_issued(issued, intent.expected, issuers, issuance.created, *context.chains);
  if (!checked || std::holds_alternative<backends::Exact<Instant>>(intent.expected.not_before)) {
    return checked;
  }
  if (checked->leaf.not_before > context.clock.now() + kCaClockSlack) {
    return Unexpected{"its notBefore is " + to_rfc3339(checked->leaf.not_before) +
                      ", more than five minutes from now"};
  }
  return checked;
}

CertificateRecord record_of(Context& context, const Order& order, const store::Issuance& issuance,
                            const backends::Issued& issued, const CheckedCertificate& checked) {
  const crypto::Certificate& leaf = checked.leaf;
  return {.id = CertificateId(random_row_id(context.entropy, context.clock.now())),
          .directory = order.directory,
          .account = order.account,
          .order = order.id,
          .issuance = issuance.id,
          .backend = issuance.backend,
          .issuer = checked.issuer,
          .serial = leaf.serial,
          .spki_sha256 = issuance.spki_sha256,
          .identifiers = order.identifiers,
          .not_before = leaf.not_before,
          .not_after = leaf.not_after,
          .crl_url = leaf.crl_urls.empty() ? "" : leaf.crl_urls.front(),
          .chain_pem = issued.chain_pem,
          .alternate_chains_pem = issued.alternate_chains_pem,
          .issued_at = {},
          .revocation = {}};
}

void store_certificate(store::Tx& tx, const Order& order, const store::Issuance& issuance,
                       CertificateRecord& certificate, const CheckedCertificate& checked,
                       const Principal& actor) {
  certificate.issued_at = tx.now();
  tx.certificates().insert(certificate);
  ACME_CHECK(tx.issuances().move(issuance.id, issuance.state, store::IssuanceState::issued));
  ACME_CHECK(tx.orders().complete(order.id, certificate.id));
  tx.audit().append(issued_event(order, issuance, certificate, checked.leaf, actor));
  store::AuditEvent valid = event_of("order.valid", order, actor);
  valid.certificate = certificate.id;
  tx.audit().append(valid);
}

void tell_issued(Context& context, const Order& order, const store::Issuance& issuance,
                 const CertificateRecord& certificate) {
  certificates_of(context.metrics, issuance.profile, certificate.backend).add();
  context.log.info("certificate.issued", {{"certificate", certificate.id},
                                          {"order", order.id},
                                          {"account", order.account ? order.account->str() : ""},
                                          {"names", names_of(certificate.identifiers)},
                                          {"profile", issuance.profile},
                                          {"backend", certificate.backend},
                                          {"client", client_of(order)},
                                          {"serial", certificate.serial},
                                          {"not_after", to_rfc3339(certificate.not_after)}});
}

Counter certificates_of(Metrics& metrics, const std::string& profile, const std::string& backend) {
  return metrics.counter("gatehouse_certificates_total",
                         "Certificates issued, by profile and backend.",
                         {{"profile", profile}, {"backend", backend}});
}

}  // namespace gatehouse::service
