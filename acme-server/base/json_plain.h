// JSON as machines mostly write it, read quickly.
#pragma once

#include <optional>
#include <string_view>

#include "acme-server/base/json.h"

namespace gatehouse {

// What parse_json() makes of `text` when that holds nothing but printable ASCII without escapes,
// integers of at most 18 digits and few members to an object. Nothing for every other text, one
// that is wrong or passes `limits` included: what to make of it is the full parser's business.
std::optional<Json> parse_plain_json(std::string_view text, const JsonLimits& limits);

}  // namespace gatehouse
