#include "acme-server/service/policy.h"

#include <memory>
#include <string>
#include <utility>

#include "acme-server/core/ids.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/policy_options.h"

namespace gatehouse::service {

const Profile* Directory::profile(const std::string& profile_name) const {
  const auto found = profiles.find(profile_name.empty() ? default_profile : profile_name);
  return found == profiles.end() ? nullptr : &found->second;
}

const Directory* Policy::find(const DirectoryId& name) const {
  const auto found = directories.find(name);
  return found == directories.end() ? nullptr : &found->second;
}

const Directory& Policy::directory(const DirectoryId& name) const {
  static const Directory kClosed = [] {
    Directory closed;
    closed.name = DirectoryId();
    closed.profiles.clear();
    return closed;
  }();
  const Directory* found = find(name);
  return found == nullptr ? kClosed : *found;
}

std::shared_ptr<const Directory> PolicyInForce::find(const DirectoryId& name) const {
  std::shared_ptr<const Policy> policy = get();
  const Directory* found = policy->find(name);
  return found == nullptr ? nullptr : std::shared_ptr<const Directory>(std::move(policy), found);
}

std::shared_ptr<const Directory> PolicyInForce::directory(const DirectoryId& name) const {
  std::shared_ptr<const Policy> policy = get();
  const Directory& found = policy->directory(name);
  return {std::move(policy), &found};
}

}  // namespace gatehouse::service
