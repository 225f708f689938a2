// What a backup leaves in the audit trail.
#pragma once

#include <cstdint>
#include <string>

#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

struct BackupMade {
  std::string file;  // as the operator's machine names it; nothing here opens it
  std::uint64_t octets = 0;
};

// Audits and logs that `actor` has copied the database: "store.backed_up". One write transaction.
void record_backup(Context& context, const BackupMade& made, const Principal& actor);

}  // namespace gatehouse::service
