// A backup while the server runs, with an audit event.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

struct BackupMade {
  std::string file;
  std::uint64_t octets = 0;
};

// Has `copy` (sql::backup of the database in use) copy the database to the new file `to`, an
// absolute path, and audits it: "store.backed_up". Rejects with the reason, which is for the
// operator, when that is not possible.
BackupMade back_up(Context& context, const std::function<void(const std::string&)>& copy,
                   const std::string& to, const Principal& actor);

}  // namespace gatehouse::service
