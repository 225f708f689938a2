// LockFile: one process at a time, by flock(2) on a file of its own with the owner's pid in it.
#pragma once

#include <string>
#include <utility>

#include "acme-server/store/sql/database.h"

namespace gatehouse::sql {

// Another process has the lock.
class LockTaken : public DatabaseError {
 public:
  LockTaken(const std::string& what, std::string owner)
      : DatabaseError(what), owner_(std::move(owner)) {}

  // "process 123", or "another process" where that is not known.
  const std::string& owner() const { return owner_; }

 private:
  std::string owner_;
};

// Held from construction to destruction. The kernel gives the lock back when the process ends,
// however it ends. The file stays: removing it would let two processes lock two files of one name.
class LockFile final {
 public:
  // Throws LockTaken, naming the pid of who has it, when `path` is locked; `what` is the thing that
  // is locked, for the message. DatabaseError for what else goes wrong.
  LockFile(std::string path, const std::string& what);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace gatehouse::sql
