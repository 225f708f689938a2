// CAA as validation and issuance use it: who is asked about, how long an answer counts, what
// becomes of the answers.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/context.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/audit.h"
#include "validators/caa.h"

namespace gatehouse::service {

// RFC 8659 section 3 has CAA asked "at a time close to issuance", which CAs agree to be within 8 h.
inline constexpr std::chrono::hours kCaaAge{8};

// One authorization's check.
struct CaaCheck {
  Authorization authorization;  // as it was then
  Instant at;                   // when it began
  validators::CaaResult result;
};

// Whether the profile has `identifier` checked at all: it enforces CAA, and an address has no
// records.
bool has_caa(const Identifier& identifier, const Profile& profile);

// Those of `authorizations` that have no check, or one that counts no more at `now`.
std::vector<Authorization> caa_checks_due(std::span<const Authorization> authorizations,
                                          const Profile& profile, Instant now);

// Asks, with no transaction open, as the authorization's `directory` identifies this CA.
// `challenge_type` is what the name was proven by.
CaaCheck check_caa(Context& context, const Directory& directory, const Authorization& authorization,
                   const std::string& challenge_type, Deadline deadline);

// "caa.checked": verdict "permitted", "forbidden" or "unknown", the trail, and the problem if there
// is one. `when` is "validation" or "issuance".
store::AuditEvent caa_event(const CaaCheck& check, std::string_view when);

// Why the order fails: the records that forbid it, if any do; else, when `give_up`, what nobody
// could tell. One subproblem for each name when there are several.
std::optional<Problem> caa_problem(std::span<const CaaCheck> checks, bool give_up);

}  // namespace gatehouse::service
