#include "acme-server/app/commands/database_owner.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

#include "config/config.h"

namespace gatehouse::app {

namespace {

struct Owner {
  uid_t user = 0;
  gid_t group = 0;
};

// Whom root is to become; nothing for everybody else.
std::optional<Owner> other_owner(const config::Config& config) {
  if (::geteuid() != 0) return std::nullopt;
  struct stat info{};
  const std::string folder = std::filesystem::path(config.store.database).parent_path().string();
  if (::stat(config.store.database.c_str(), &info) != 0 && ::stat(folder.c_str(), &info) != 0) {
    return std::nullopt;  // said later, with what to do
  }
  if (info.st_uid == 0) return std::nullopt;
  return Owner{.user = info.st_uid, .group = info.st_gid};
}

[[noreturn]] void fail(const config::Config& config, const Owner& owner) {
  throw std::runtime_error("cannot become user " + std::to_string(owner.user) +
                           ", who owns the database " + config.store.database + ": " +
                           std::strerror(errno));
}

}  // namespace

void become_database_owner(const config::Config& config) {
  const std::optional<Owner> owner = other_owner(config);
  if (!owner) return;
  if (::setgroups(0, nullptr) != 0 || ::setgid(owner->group) != 0 || ::setuid(owner->user) != 0) {
    fail(config, *owner);
  }
}

AsDatabaseOwner::AsDatabaseOwner(const config::Config& config) {
  const std::optional<Owner> owner = other_owner(config);
  if (!owner) return;
  group_ = ::getegid();
  groups_.resize(static_cast<std::size_t>(::getgroups(0, nullptr)));
  if (::getgroups(static_cast<int>(groups_.size()), groups_.data()) < 0) fail(config, *owner);
  if (::setgroups(0, nullptr) != 0 || ::setegid(owner->group) != 0 || ::seteuid(owner->user) != 0) {
    fail(config, *owner);
  }
  changed_ = true;
}

AsDatabaseOwner::~AsDatabaseOwner() {
  end();
}

void AsDatabaseOwner::end() {
  if (!changed_) return;
  changed_ = false;
  // The saved user is root, so this cannot fail; going on as anybody else would be worse than an
  // abrupt end.
  if (::seteuid(0) != 0 || ::setegid(group_) != 0 ||
      ::setgroups(groups_.size(), groups_.data()) != 0) {
    std::abort();
  }
}

}  // namespace gatehouse::app
