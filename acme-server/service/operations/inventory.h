// Inventory: what operators list, show and watch, and the parked orders that they resume.
// Nothing here is bound to an account.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/context.h"
#include "acme-server/service/operations/order_diagnosis.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/certificates.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/refusals.h"

namespace gatehouse::service {

// An issuer that is configured, and the CRLs that are made for it.
struct IssuerState {
  std::string backend;
  IssuerId id;
  std::string subject;  // RFC 4514
  std::string serial;
  Instant not_before, not_after;
  bool signs_new = false;  // signs new certificates; an older issuer signs only CRLs

  struct Crl {
    std::string url;
    std::optional<store::CrlRecord> in_force;  // none: not made yet
  };

  std::vector<Crl> crls;
};

// What the last try at a challenge said, where it failed.
struct FailedProof {
  Identifier identifier;
  std::string challenge;  // its type
  Problem problem;
};

// The installation at a glance, in one consistent view.
struct InstallationState {
  int schema = 0;
  std::vector<IssuerState> issuers;
  std::vector<store::JobCount> jobs;
  std::vector<store::ParkedJob> parked;
  std::vector<BackendStop> stopped_backends;
  store::AuditHead audit;
};

// Safe from any thread; blocks on the database.
class Inventory {
 public:
  explicit Inventory(Context& context) : context_(context) {}

  InstallationState state();

  store::CertificatePage certificates(const store::CertificateFilter& filter,
                                      const std::optional<CertificateId>& after, std::size_t limit);
  // The profile of each one's order; empty for an order that was pruned.
  std::vector<std::string> profiles_of(const std::vector<CertificateRecord>& certificates);
  // By id, or by serial number in hex with or without colons: several where issuers share one.
  std::vector<CertificateRecord> certificate(const std::string& id_or_serial);

  std::vector<Account> accounts(const std::optional<AccountId>& after, std::size_t limit);

  struct AccountView {
    Account account;
    std::int64_t open_orders = 0;
    std::vector<store::Refusal> refusals;  // the last few, the newest first
  };

  std::optional<AccountView> account(const AccountId& id);

  struct ListedOrder {
    OrderView view;
    std::vector<FailedProof> failed_proofs;
    std::optional<Instant> asked_again = {};  // when the CA is, of an order that it has not decided
  };

  struct OrderPage {
    std::vector<ListedOrder> orders;
    std::string next;  // pass as `after` for the next page; empty: this was the last
  };

  // Newest first; of one account where `account` is given.
  OrderPage orders(const std::string& account, const std::string& after, std::size_t limit);
  // Newest first: those that a CA elsewhere has not decided yet.
  OrderPage undecided_orders(const std::string& after, std::size_t limit);
  std::optional<OrderDiagnosis> order(const OrderId& id);
  // Has the CA asked again about an order whose issuance is parked. False when it is not parked.
  bool resume_order(const OrderId& id, const Principal& actor);

  store::AuditPage audit(const store::AuditFilter& filter, std::int64_t after, std::size_t limit);
  // Verifies the part of the chain that follows `from`; call again from the head it returns.
  store::Audit::Verified verify_audit(const store::AuditHead& from);

 private:
  Context& context_;
};

}  // namespace gatehouse::service
