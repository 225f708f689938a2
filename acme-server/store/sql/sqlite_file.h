// The file of an SQLite database: where it is, and how it comes to be.
#pragma once

#include <string>

namespace gatehouse::sql {

// `path` absolute and without symbolic links: one database has one such path. Throws DatabaseError
// for what is no path of a file.
std::string database_path(const std::string& path);

// The same, of a database that is to be used. Throws DatabaseError too when others may write it or
// its folder (base/file_access.h): every account and every revocation would be theirs.
std::string closed_database_path(const std::string& path);

// Makes the file at `path` unless there is one, so that nobody but its owner can read it; SQLite
// gives its other files the same mode. One that is there keeps the mode that an operator gave it.
// Throws DatabaseError when that is not possible, or the file is not on a local disk.
void make_database_file(const std::string& path);

}  // namespace gatehouse::sql
