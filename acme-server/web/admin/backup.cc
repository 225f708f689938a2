// `gatehouse backup`.
#include "acme-server/service/operations/backup.h"

#include <string>

#include "acme-server/base/json.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxPath = 4096;

}  // namespace

Json make_backup(Admin& admin, const OperatorRequest& request) {
  const auto to = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"to"});
    return object.string("to", kMaxPath);
  });
  const auto made = service::back_up(admin.context, admin.process.backup, to, request.actor());
  return {{"file", made.file}, {"octets", made.octets}};
}

}  // namespace gatehouse::web
