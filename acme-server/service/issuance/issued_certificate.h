// From what a CA gave back to a certificate's row: for the issuance job, and for an operator who
// adopts a certificate.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/base/expected.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"
#include "acme-server/service/issuance/issuance_checks.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Who finalized the order: an address, or "" of one that the server made for itself.
std::string client_of(const Order& order);

// An event about an intent of `order`.
store::AuditEvent event_of_intent(std::string_view kind, const Order& order,
                                  const store::Issuance& issuance, const Principal& actor);

// check_issued() against the issuers that are known of the backend. A CA elsewhere may besides date
// nothing further ahead than five minutes from now, unless the order asks for it.
Expected<CheckedCertificate, std::string> check_answer(Context& context,
                                                       const backends::Backend& backend,
                                                       const backends::Issued& issued,
                                                       const backends::Intent& intent,
                                                       const store::Issuance& issuance);

// The certificate as it will be kept.
CertificateRecord record_of(Context& context, const Order& order, const store::Issuance& issuance,
                            const backends::Issued& issued, const CheckedCertificate& checked);

// Inserts `certificate`, moves the intent from the state that `issuance` has to issued, completes
// the order, and audits all that by `actor`.
void store_certificate(store::Tx& tx, const Order& order, const store::Issuance& issuance,
                       CertificateRecord& certificate, const CheckedCertificate& checked,
                       const Principal& actor);

// Counts and logs it; after the COMMIT.
void tell_issued(Context& context, const Order& order, const store::Issuance& issuance,
                 const CertificateRecord& certificate);

// gatehouse_certificates_total of one profile and backend.
Counter certificates_of(Metrics& metrics, const std::string& profile, const std::string& backend);

}  // namespace gatehouse::service
