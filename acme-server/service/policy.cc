#include "acme-server/service/policy.h"

#include <string>

#include "acme-server/core/profile.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::service {

const Profile* Policy::profile(const std::string& name) const {
  const auto found = profiles.find(name.empty() ? default_profile : name);
  return found == profiles.end() ? nullptr : &found->second;
}

}  // namespace gatehouse::service
