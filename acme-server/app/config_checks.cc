#include "acme-server/app/profile_checks.h"

#include <string>

#include "acme-server/base/text.h"

namespace gatehouse::app {

void check_profiles(const service::Policy& policy, const validators::ValidatorSet& validators,
                    const Json& backends) {
  for (const auto& [name, profile] : policy.profiles) {
    const std::string path = "profiles." + name;
    for (const std::string& type : profile.challenge_types) {
      if (validators.find(type) != nullptr) continue;
      std::vector<std::string> known;
      for (const auto& validator : validators.all())
        known.emplace_back(validator->challenge_type());
      throw JsonError(path + ".challenge_types: there is no validator for \"" + sanitize(type, 40) +
                      "\"; there are: " + join(known, ", "));
    }
    if (!backends.contains(profile.backend)) {
      throw JsonError(path + ".backend: \"" + sanitize(profile.backend, 40) +
                      "\" is not among backends");
    }
  }
}

}  // namespace gatehouse::app
