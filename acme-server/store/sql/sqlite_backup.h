// A copy of a SQLite database that is in use.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace gatehouse::sql {

// Copies the database at `from`, as it is at one moment, to a new file `to`, mode 0600, which needs
// no other file beside it; checks the copy, and has it on disk when it returns. Writers go on
// meanwhile; the write-ahead log grows until it is done. Its connection reads and never checkpoints
// (ADR 0012). `source_open` is called once every file of the source is open and before the first of
// the target is, so that the caller may read as one user and write as another. `keep_free` octets
// of the target's disk stay free. Throws DatabaseError, also when `to` is there already; nothing is
// left behind then.
void copy_sqlite(const std::string& from, const std::string& to, std::uint64_t keep_free,
                 const std::function<void()>& source_open);

// Empty when the database at `path`, which nobody uses, is whole; else what is wrong with it.
std::string why_not_whole(const std::string& path);

// Folds the write-ahead log of the database at `path`, which nobody uses, into it, so that the file
// alone is all of it, and has it on disk.
void make_one_file(const std::string& path);

}  // namespace gatehouse::sql
