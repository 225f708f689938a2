#include "acme-server/service/validation/challenge_types.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/profile.h"
#include "validators/validator.h"

namespace gatehouse::service {

std::vector<std::string> types_for(const Identifier& identifier, const Profile& profile,
                                   const validators::ValidatorSet& validators) {
  std::vector<std::string> types;
  for (const std::string& type : profile.challenge_types) {
    const validators::Validator* validator = validators.find(type);
    if (validator != nullptr && validator->can_validate(identifier)) {
      types.push_back(type);
    }
  }
  return types;
}

std::optional<std::string> why_unproven(const Authorization& authorization, const Profile& profile,
                                        const validators::ValidatorSet& validators) {
  const auto proof =
      std::ranges::find(authorization.challenges, ChallengeStatus::valid, &Challenge::status);
  if (proof == authorization.challenges.end()) {
    return "The authorization for " + authorization.identifier.value + " has no valid challenge.";
  }
  const std::vector<std::string> enabled = types_for(authorization.identifier, profile, validators);
  if (std::ranges::find(enabled, proof->type) == enabled.end()) {
    return authorization.identifier.value + " was proven by " + proof->type +
           ", which is not enabled any more; make a new order.";
  }
  return std::nullopt;
}

}  // namespace gatehouse::service
