#include "acme-server/service/operations/backup.h"

#include <optional>

#include "acme-server/base/log.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

void record_backup(Context& context, const BackupMade& made, const Principal& actor) {
  context.store.write([&](store::Tx& tx) {
    tx.audit().append({.kind = "store.backed_up",
                       .actor = actor,
                       .directory = std::nullopt,
                       .account = std::nullopt,
                       .order = std::nullopt,
                       .authorization = std::nullopt,
                       .certificate = std::nullopt,
                       .details = {{"file", made.file}, {"octets", made.octets}}});
  });
  context.log.info("store.backed_up", {{"file", made.file}, {"octets", made.octets}});
}

}  // namespace gatehouse::service
