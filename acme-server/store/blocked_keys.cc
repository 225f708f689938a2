#include "acme-server/store/blocked_keys.h"

#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {

bool BlockedKeys::contains(std::string_view spki_sha256) {
  return !connection_
              .query("SELECT spki_sha256 FROM blocked_keys WHERE spki_sha256 = $1",
                     params(spki_sha256))
              .empty();
}

void BlockedKeys::add(std::string_view spki_sha256, Instant at, std::string_view why) {
  connection_.execute(
      "INSERT INTO blocked_keys (spki_sha256, blocked_at, why) VALUES ($1, $2, $3) "
      "ON CONFLICT (spki_sha256) DO NOTHING",
      params(spki_sha256, at, why));
}

}  // namespace gatehouse::store
