// Who else may read and write what we rest on: private keys, secrets, the database, their folders.
// The one place that knows. Modes are looked at, not owners: in a user namespace (PrivateUsers=)
// the owner is not seen.
#pragma once

#include <optional>
#include <string>

namespace gatehouse {

// Each returns nothing when all is well, else a sentence that names the path and the command that
// mends it. A file that others may not write and that is in a folder that they may write is not
// theirs to write either: they would replace it. So the folder counts, whose mode must be without
// write permission for group and others, and the folders above it, where others may write only with
// the sticky bit.

// A file with a private key or a secret: only its owner may read or write it. What is no regular
// file, or cannot be looked at, is a problem too.
std::optional<std::string> key_file_problem(const std::string& path);

// The database at `path` and SQLite's files beside it: only its owner may write them. Who reads
// them is the operator's affair. What is not there yet is no problem.
std::optional<std::string> database_file_problem(const std::string& path);

// A folder that is ours alone: only its owner may enter it. What is no folder is a problem too.
std::optional<std::string> private_folder_problem(const std::string& path);

}  // namespace gatehouse
