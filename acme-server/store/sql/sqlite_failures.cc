#include "acme-server/store/sql/sqlite_failures.h"

#include <sqlite3.h>

#include <cerrno>

namespace gatehouse::sql {

bool is_want_of_room(int code, int error) {
  switch (code) {
    case SQLITE_FULL:
      return true;
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_TRUNCATE:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
      return error == ENOSPC || error == EDQUOT || error == EROFS;
    default:
      return (code & 0xff) == SQLITE_READONLY;
  }
}

bool is_fatal(int code, int error, bool committing) {
  if (is_want_of_room(code, error)) {
    return false;
  }
  return committing ? (code & 0xff) == SQLITE_IOERR
                    : code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

}  // namespace gatehouse::sql
