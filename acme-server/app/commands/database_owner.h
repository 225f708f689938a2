// Root's commands work as the user who owns the database. A file of root's would be in the server's
// way, a server in its own user namespace (PrivateUsers=) knows no other user than its own, and
// root must not open files in a folder in which an unprivileged user can put links.
#pragma once

#include <sys/types.h>

#include <vector>

#include "config/config.h"

namespace gatehouse::app {

// For good. Nothing for who is not root, and where root owns the database, or its folder where
// there is no database yet. Throws std::runtime_error.
void become_database_owner(const config::Config& config);

// The same until end() or destruction, for all threads of the process. Throws likewise.
class AsDatabaseOwner final {
 public:
  explicit AsDatabaseOwner(const config::Config& config);
  ~AsDatabaseOwner();
  AsDatabaseOwner(const AsDatabaseOwner&) = delete;
  AsDatabaseOwner& operator=(const AsDatabaseOwner&) = delete;

  void end();

 private:
  bool changed_ = false;
  gid_t group_ = 0;
  std::vector<gid_t> groups_;
};

}  // namespace gatehouse::app
