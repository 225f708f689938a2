// Authorizations and their challenges (RFC 8555 sections 7.1.4, 7.1.5), and the transitions of
// section 7.1.6.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"

namespace gatehouse {

enum class ChallengeStatus { pending, processing, valid, invalid };
// What is stored. `expired` is derived: see status_of().
enum class AuthorizationStatus { pending, valid, invalid, deactivated, expired, revoked };

struct Challenge {
  ChallengeId id;
  std::string type;   // "http-01"
  std::string token;  // base64url, 256 bits
  ChallengeStatus status = ChallengeStatus::pending;
  std::optional<Instant> validated;  // set when valid
  std::optional<Problem> error;      // of the last failed try
  int attempts = 0;                  // tries made so far (section 8.2)
  std::optional<Instant>
      next_attempt;  // by the job clock: when processing, the next try; what Retry-After is made of

  friend bool operator==(const Challenge&, const Challenge&) = default;
};

struct Authorization {
  AuthorizationId id;
  DirectoryId directory;
  AccountId account;
  Identifier identifier;  // as ordered: a wildcard has its "*."
  std::string profile;    // whose challenge types and egress rules it was made under
  AuthorizationStatus status = AuthorizationStatus::pending;
  Instant expires;
  Instant created;
  std::vector<Challenge> challenges;
  std::optional<Instant> caa_checked = {};  // when CAA records last permitted it; none: not asked

  friend bool operator==(const Authorization&, const Authorization&) = default;
};

// What a validator says of one try, as far as the state of an authorization goes.
struct ChallengeResult {
  std::optional<Problem> problem;  // none: the client controls the identifier
  bool last_attempt = true;        // a failure before the last one leaves the challenge processing
  std::optional<Instant> caa_checked = {};  // with success: when CAA records permitted it
};

// The status at `now`: pending and valid ones past `expires` are expired.
AuthorizationStatus status_of(const Authorization& authorization, Instant now);
bool is_valid(const Authorization& authorization, Instant now);
// True when no order that relies on it can become ready any more.
bool is_lost(const Authorization& authorization, Instant now);

// The challenge with `id`, or nullptr.
const Challenge* find_challenge(const Authorization& authorization, const ChallengeId& id);

// The client says a challenge is ready. Pending -> processing; anything else returns the value
// unchanged (RFC 8555 section 7.5.1: a final challenge is never validated again).
Authorization begin_validation(Authorization authorization, const ChallengeId& challenge,
                               Instant now);

// A try has ended. Success: challenge and authorization valid, `expires` becomes `valid_until`.
// Failure on the last try: both invalid; before it, the error is kept and the challenge stays
// processing until `next_attempt`. An authorization that is no longer pending is returned
// unchanged: late results are harmless.
Authorization conclude(Authorization authorization, const ChallengeId& challenge,
                       const ChallengeResult& result, Instant now, Instant valid_until,
                       std::optional<Instant> next_attempt);

}  // namespace gatehouse
