// `gatehouse backup`: the command makes the copy itself, and tells the server of it.
#include "acme-server/service/operations/backup.h"

#include <cstdint>
#include <limits>

#include "acme-server/base/json.h"
#include "acme-server/web/admin/admin.h"
#include "acme-server/web/admin/operator_auth.h"
#include "acme-server/web/payload.h"

namespace gatehouse::web {
namespace {

constexpr std::size_t kMaxPath = 4096;

}  // namespace

Json record_backup(Admin& admin, const OperatorRequest& request) {
  const auto made = read_payload(request.payload(), [](const JsonObject& object) {
    object.only({"file", "octets"});
    return service::BackupMade{
        .file = object.string("file", kMaxPath),
        .octets = static_cast<std::uint64_t>(
            object.optional_integer("octets", 0, std::numeric_limits<std::int64_t>::max())
                .value_or(0))};
  });
  service::record_backup(admin.context, made, request.actor());
  return {{"file", made.file}, {"octets", made.octets}};
}

}  // namespace gatehouse::web
