// Which of SQLite's failures are which: a full disk passes, a disk that lost a write does not.
#pragma once

namespace gatehouse::sql {

// `code` is SQLite's extended result code, `error` the errno that went with it.

// Whether nothing was written, since there is no room or the disk is read-only now. SQLite has a
// code of its own for ENOSPC alone.
bool is_want_of_room(int code, int error);

// A write to disk of which nobody can say whether it happened: after a failed fsync the kernel may
// drop the pages and report success the next time.
bool is_fatal(int code, int error, bool committing);

}  // namespace gatehouse::sql
