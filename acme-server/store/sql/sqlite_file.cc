#include "acme-server/store/sql/sqlite_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "acme-server/base/file_access.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::sql {
namespace {

[[noreturn]] void cannot_open(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    throw StorageFull("cannot make the database " + path + ": " +
                      std::generic_category().message(error) + "; make room on the disk");
  }
  throw DatabaseError("cannot open the database " + path + ": " +
                      std::generic_category().message(error) +
                      "; its folder must exist and be writable by this user");
}

}  // namespace

std::string database_path(const std::string& path) {
  if (path.empty() || path.starts_with(':')) {
    throw DatabaseError("the database must be a file, not \"" + path + "\"");
  }
  std::error_code error;
  const std::filesystem::path full =
      std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
  if (error) {
    cannot_open(path, error.value());
  }
  return full.string();
}

std::string closed_database_path(const std::string& path) {
  std::string full = database_path(path);
  if (const auto problem = database_file_problem(full)) throw DatabaseError(*problem);
  return full;
}

void make_database_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    cannot_open(path, errno);
  }
  struct statfs disk{};
  const bool remote = ::fstatfs(descriptor, &disk) == 0 && disk.f_type == NFS_SUPER_MAGIC;
  ::close(descriptor);
  if (remote) {
    // A write-ahead log is shared memory between processes of one machine.
    throw DatabaseError("the database " + path + " is on NFS; it must be on a local disk");
  }
}

}  // namespace gatehouse::sql
