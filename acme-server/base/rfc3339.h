// Instant <-> RFC 3339 text, the only form of time on the wire (RFC 8555 section 7.1.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"

namespace gatehouse {

// "2026-11-22T09:30:00Z". Years 0000 to 9999.
std::string to_rfc3339(Instant instant);

// Takes any offset and any fraction of a second (dropped). Nothing for what RFC 3339 does not
// allow, for 24:00, for days that no month has; a leap second (:60 at the end of a
// month in UTC) counts as the next second.
std::optional<Instant> from_rfc3339(std::string_view text);

}  // namespace gatehouse
