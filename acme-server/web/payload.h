// Payloads: the JSON that a client signed, read into a value. What does not read is the client's
// fault and is told so.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/core/problem.h"

namespace gatehouse::web {

// Parses `payload` and returns `read(JsonObject)`. A JsonError becomes a rejection as malformed
// here and nowhere else: one from the store is a failure of ours. Fields that `read` does not ask
// for are ignored (RFC 8555 section 7.3).
template <class Read>
auto read_payload(const std::string& payload, Read&& read) {
  try {
    const Json json = parse_json(payload);
    return std::forward<Read>(read)(JsonObject(json));
  } catch (const JsonError& error) {
    reject(ProblemType::malformed, std::string("The payload does not read: ") + error.what());
  }
}

// A required member of base64url without padding (RFC 8555 section 6.1), at most `max_bytes` of it
// decoded.
Bytes base64url_field(const JsonObject& object, std::string_view name, std::size_t max_bytes);

}  // namespace gatehouse::web
