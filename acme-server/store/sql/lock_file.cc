#include "acme-server/store/sql/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "acme-server/base/text.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::sql {
namespace {

constexpr mode_t kOwnerOnly = 0600;
constexpr std::size_t kLongestPid = 20;

std::string reason(int error) {
  return std::generic_category().message(error);
}

// What the owner wrote. It may be between locking and writing: then nobody can say.
std::string owner_of(int descriptor) {
  std::array<char, kLongestPid> text{};
  const ssize_t length = ::pread(descriptor, text.data(), text.size(), 0);
  if (length <= 0) {
    return "another process";
  }
  const std::string_view pid(text.data(), static_cast<std::size_t>(length));
  return "process " + sanitize(trim(pid), kLongestPid);
}

}  // namespace

LockFile::LockFile(std::string path, const std::string& what) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly);
  if (descriptor_ < 0) {
    const int error = errno;
    const std::string failure = "cannot open the lock file " + path_ + ": " + reason(error);
    if (error == ENOSPC || error == EDQUOT) throw StorageFull(failure + "; make room on the disk");
    throw DatabaseError(failure + "; its folder must exist and be writable by this user");
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string owner = error == EWOULDBLOCK ? owner_of(descriptor_) : std::string();
    ::close(descriptor_);
    if (owner.empty()) {
      throw DatabaseError("cannot lock " + path_ + ": " + reason(error));
    }
    throw LockTaken(what + " is in use by " + owner + ", which holds " + path_ +
                        "; stop it first, or give this one a database of its own",
                    owner);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor_, 0) != 0 ||
      ::pwrite(descriptor_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const int error = errno;
    ::close(descriptor_);
    const std::string failure =
        "cannot write our pid to the lock file " + path_ + ": " + reason(error);
    if (error == ENOSPC || error == EDQUOT) throw StorageFull(failure + "; make room on the disk");
    throw DatabaseError(failure);
  }
}

LockFile::~LockFile() {
  // So that nobody reads the pid of a process that is gone; if it fails, the lock still goes.
  [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, 0);
  ::close(descriptor_);
}

}  // namespace gatehouse::sql
