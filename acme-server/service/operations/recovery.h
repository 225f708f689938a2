// What is known of the time behind a backup, put back into the database that it was restored to: a
// restore never lowers a CRL number and never takes a revocation back, as far as the CRLs and the
// audit log that are given go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
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
};

struct Recovered {
  std::size_t revoked = 0;          // certificates that the backup held for good
  std::size_t revoked_unknown = 0;  // serials that the backup does not know; they stay on the CRL
  std::size_t accounts_deactivated = 0;
  std::size_t keys_blocked = 0;
  std::size_t events = 0;            // of the audit log, put back behind the backup's
  std::int64_t highest_number = 0;   // CRL number; the next one is higher. 0: none was seen
  std::vector<std::string> unknown;  // what cannot be known or put back, a sentence each
};

// In one transaction. Throws std::runtime_error, with a sentence for the operator, for a file that
// is not what it is said to be: a CRL that no issuer of `backends` has signed, an audit log that
// does not follow from the backup's.
Recovered recover(store::Tx& tx, backends::BackendSet& backends, const RecoverySources& sources);

}  // namespace gatehouse::service
