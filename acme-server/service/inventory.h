// Inventory: what operators list, show and watch. Reads only; nothing here is bound to an account.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/service/context.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/crls.h"
#include "acme-server/store/jobs.h"

namespace gatehouse::service {

// An issuer that is configured, and the CRLs that are made for it.
struct IssuerState {
  std::string backend;
  IssuerId id;
  std::string subject;  // RFC 4514
  std::string serial;
  Instant not_before, not_after;
  bool signs_new = false;  // new certificates are its; an older one signs CRLs only

  struct Crl {
    std::string url;
    std::optional<store::CrlRecord> in_force;  // none: not made yet
  };

  std::vector<Crl> crls;
};

// The installation at a glance, in one consistent view.
struct InstallationState {
  int schema = 0;
  std::vector<IssuerState> issuers;
  std::vector<store::JobCount> jobs;
  std::vector<store::ParkedJob> parked;
  store::AuditHead audit;
};

// Safe from any thread; blocks on the database.
class Inventory {
 public:
  explicit Inventory(Context& context) : context_(context) {}

  InstallationState state();

 private:
  Context& context_;
};

}  // namespace gatehouse::service
