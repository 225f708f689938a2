// Files read and written whole. What a call of the system refused is a std::system_error with its
// errno, which is a std::runtime_error. What is written is durable, and never seen half, when the
// call returns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gatehouse {

// More than any key, chain or CRL of ours (a million revocations take 40 MB), less than what hurts.
inline constexpr std::size_t kMaxFileBytes = std::size_t{64} * 1024 * 1024;

// The whole file. Throws std::runtime_error that names the path, also when it is larger than
// `limit`.
std::string read_file(const std::string& path, std::size_t limit = kMaxFileBytes);

enum class FileAccess { owner_only, everyone_reads };  // 0600, 0644
enum class ExistingFile { refuse, replace };

// Writes a file beside `path`, syncs it, gives it its name and syncs the folder: after a crash
// there is the old file or the new one. Throws std::runtime_error that names the path; with
// `refuse`, also when there is one already.
void write_file(const std::string& path, std::string_view content, FileAccess access,
                ExistingFile existing);

// Makes the folder at `path`, and those above it that are missing, with mode 0700. One that exists
// must be a private folder (base/file_access.h). Throws std::runtime_error that names the path.
void make_private_folder(const std::string& path);

// `path` as it stands in a file of the folder: an absolute one is taken as it is.
std::string path_in(const std::string& folder, const std::string& path);

// Makes names given and taken in the folder durable (fsync of the folder).
void sync_folder(const std::string& path);

}  // namespace gatehouse
