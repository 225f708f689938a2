#include "acme-server/core/authorization.h"

#include <algorithm>
#include <optional>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"

namespace gatehouse {
namespace {

Challenge* find_in(Authorization& authorization, const ChallengeId& id) {
  const auto at = std::ranges::find(authorization.challenges, id, &Challenge::id);
  return at == authorization.challenges.end() ? nullptr : &*at;
}

}  // namespace

AuthorizationStatus status_of(const Authorization& authorization, Instant now) {
  const bool can_expire = authorization.status == AuthorizationStatus::pending ||
                          authorization.status == AuthorizationStatus::valid;
  return can_expire && authorization.expires <= now ? AuthorizationStatus::expired
                                                    : authorization.status;
}

bool is_valid(const Authorization& authorization, Instant now) {
  return status_of(authorization, now) == AuthorizationStatus::valid;
}

bool is_lost(const Authorization& authorization, Instant now) {
  switch (status_of(authorization, now)) {
    case AuthorizationStatus::pending:
    case AuthorizationStatus::valid:
      return false;
    case AuthorizationStatus::invalid:
    case AuthorizationStatus::deactivated:
    case AuthorizationStatus::expired:
    case AuthorizationStatus::revoked:
      return true;
  }
  return true;
}

const Challenge* find_challenge(const Authorization& authorization, const ChallengeId& id) {
  const auto at = std::ranges::find(authorization.challenges, id, &Challenge::id);
  return at == authorization.challenges.end() ? nullptr : &*at;
}

Authorization begin_validation(Authorization authorization, const ChallengeId& challenge,
                               Instant now) {
  Challenge* const chosen = find_in(authorization, challenge);
  if (chosen != nullptr && chosen->status == ChallengeStatus::pending &&
      status_of(authorization, now) == AuthorizationStatus::pending) {
    chosen->status = ChallengeStatus::processing;
    chosen->next_attempt = now;
  }
  return authorization;
}

Authorization conclude(Authorization authorization, const ChallengeId& challenge,
                       const ChallengeResult& result, Instant now, Instant valid_until,
                       std::optional<Instant> next_attempt) {
  Challenge* const tried = find_in(authorization, challenge);
  if (tried == nullptr || tried->status != ChallengeStatus::processing ||
      status_of(authorization, now) != AuthorizationStatus::pending) {
    return authorization;
  }
  ++tried->attempts;
  tried->error = result.problem;
  tried->next_attempt = std::nullopt;
  if (!result.problem) {
    tried->status = ChallengeStatus::valid;
    tried->validated = now;
    authorization.status = AuthorizationStatus::valid;
    authorization.expires = valid_until;
    authorization.caa_checked = result.caa_checked;
  } else if (result.last_attempt) {
    tried->status = ChallengeStatus::invalid;
    authorization.status = AuthorizationStatus::invalid;
  } else {
    tried->next_attempt = next_attempt;
  }
  return authorization;
}

}  // namespace gatehouse
