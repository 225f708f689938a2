#include "acme-server/core/profile.h"

#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse {

std::string hash_of(const Profile& profile) {
  std::vector<std::string_view> key_types;
  for (const crypto::KeyType type : profile.key_types) key_types.push_back(to_string(type));
  // As JSON, so that no two lists of fields run into one text. Who may order, how long an order
  // lives, where validation may go and how soon before its CA's end nothing is issued are not in a
  // certificate, and a change of them leaves intents as they are.
  const Json what_it_says = {
      {"validity", profile.validity.count()},
      {"backdate", profile.backdate.count()},
      {"key_usages", profile.key_usages},
      {"extended_key_usages", profile.extended_key_usages},
      {"key_types", key_types},
      {"common_name", profile.common_name},
      {"client_dates", profile.client_dates},
      {"backend", profile.backend},
  };
  return crypto::sha256_hex(as_bytes(print_json(what_it_says)));
}

}  // namespace gatehouse
