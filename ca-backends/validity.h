// From when until when a leaf is valid: what its profile, its client and its issuer allow.
#pragma once

#include <optional>

#include "acme-server/base/clock.h"
#include "acme-server/core/profile.h"

namespace gatehouse::backends {

// Both ends inclusive (RFC 5280 section 4.1.2.5).
struct Validity {
  Instant not_before, not_after;

  friend bool operator==(const Validity&, const Validity&) = default;
};

// Unasked: from `now` less the profile's backdate, for the profile's validity, its last second
// included. Asked: the very dates, as long as they begin no earlier and span no more than that, and
// end within the profile's validity from now, since that is when control was proven. Never outlives
// `issuer`: where that leaves a leaf less than half of what its profile says, or dates that were
// asked for do not fit, it is rejected (RequestRejected) with a sentence.
Validity leaf_validity(const Profile& profile, std::optional<Instant> not_before,
                       std::optional<Instant> not_after, const Validity& issuer, Instant now);

}  // namespace gatehouse::backends
