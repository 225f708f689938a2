// Recovery: brings a database that was restored from a backup up to what CRLs and audit logs tell
// of the time since. As far as they go, a restore lowers no CRL number, loses no revocation, and
// has no CA issue a second time for one order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {

// Files that an operator gives; messages name them.
struct RecoverySources {
  struct File {
    std::string name;
    std::string content;
  };

  std::vector<File> crls;        // each one CRL in DER, as it was published
  std::vector<File> audit_logs;  // lines of `gatehouse audit show --json`, oldest first

  // The CRLs in force in the database that is replaced, in DER. Those of issuers that the config no
  // longer names are passed over, and counted in `unknown`.
  std::vector<std::string> replaced_crls = {};
  // Issuers that the backup has published CRLs for: unless there are none, one of them must be in
  // the config.
  std::vector<IssuerId> issuers = {};
};

struct Recovered {
  std::size_t revoked = 0;          // certificates that were not yet revoked in the backup
  std::size_t revoked_unknown = 0;  // serials that the backup does not know; they stay on the CRL
  std::size_t accounts_deactivated = 0;
  std::size_t keys_blocked = 0;
  std::size_t events = 0;            // of the audit log, appended to the backup's
  std::int64_t highest_number = 0;   // CRL number; the next one is higher. 0: none was seen
  std::vector<std::string> unknown;  // what cannot be recovered, a sentence each
};

// In one transaction. Throws std::runtime_error, with a sentence for the operator, for a
// backup of another CA, a CRL that no issuer of `backends` has signed, or an audit log that does
// not continue the backup's.
Recovered recover(store::Tx& tx, backends::BackendSet& backends, const RecoverySources& sources);

}  // namespace gatehouse::service
