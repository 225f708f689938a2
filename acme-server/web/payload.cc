#include "acme-server/web/payload.h"

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"

namespace gatehouse::web {

Bytes base64url_field(const JsonObject& object, std::string_view name, std::size_t max_bytes) {
  std::optional<Bytes> bytes = base64url_decode(object.string(name, max_bytes / 3 * 4 + 4));
  if (!bytes || bytes->empty()) {
    throw JsonError(object.path_of(name) + " is not base64url without padding");
  }
  return std::move(*bytes);
}

}  // namespace gatehouse::web
