// From when until when a leaf is valid: what its profile, its client and the CAs above it allow.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/core/profile.h"
#include "ca-backends/issuers.h"

namespace gatehouse::backends {

// Both ends inclusive (RFC 5280 section 4.1.2.5).
struct Validity {
  Instant not_before, not_after;

  friend bool operator==(const Validity&, const Validity&) = default;
};

// What the client asked for, and when. What newOrder accepted holds at finalize too, so that the
// earliest notBefore is counted from the order.
struct RequestedDates {
  std::optional<Instant> not_before, not_after;
  Instant ordered;
};

enum class CaRole { issuer, intermediate, root };

// How long the whole chain of an issuer holds, and which CA ends it: of several that end at once
// the highest, since nothing below it can be renewed for longer.
struct ChainLifetime {
  Instant not_before, not_after;
  CaRole ends_first = CaRole::issuer;
  std::string name;  // of the CA that ends first
};

ChainLifetime lifetime_of(const Issuer& issuer);

// `the root "CN=Corp Root"`
std::string describe(const ChainLifetime& chain);

// What an operator does about a CA that ends.
std::string remedy_for(CaRole role);

// The profile's, or a part of a validity that is not longer than it.
std::chrono::seconds backdate_of(const Profile& profile);

// The least that a leaf must have left: the profile's minimum_validity, or all of a shorter
// validity.
std::chrono::seconds minimum_validity_of(const Profile& profile);

// What profile and client agree on, whoever the issuer is. Unasked: from the backdate before `now`,
// for the profile's validity. Asked: the very dates, where they begin no earlier than the backdate
// before the order and sooner than the profile's validity after it, and end within the profile's
// validity after notBefore, or after now where no notBefore is asked for: then the backdate gives
// way, so that nothing lasts longer than the validity and its last second. Rejects (malformed) what
// cannot be met (RFC 8555 section 7.4: "The server MUST return an error if it cannot fulfill the
// request as specified").
Validity agreed_validity(const Profile& profile, const RequestedDates& dates, Instant now);

// The same within the life of `chain`. Dates that were asked for and do not fit are rejected
// (malformed), an end that nobody asked for is cut to the chain's. Where that leaves less than
// minimum_validity_of(), nothing can be issued: rejected with 503, naming the CA that ends.
Validity leaf_validity(const Profile& profile, const RequestedDates& dates,
                       const ChainLifetime& chain, Instant now);

}  // namespace gatehouse::backends
