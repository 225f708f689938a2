#include "acme-server/base/file_access.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kOthersRead = 044;
constexpr mode_t kOthersWrite = 022;
constexpr mode_t kStrangersWrite = 002;
constexpr mode_t kOthersAnything = 077;

enum class Sticky { suffices, does_not };  // for who may not write a folder

// Why others could replace what is at `path` within the folders above it.
std::optional<std::string> above_problem(const fs::path& path, Sticky sticky) {
  bool direct = true;
  for (fs::path folder = path.parent_path();; folder = folder.parent_path()) {
    struct stat found = {};
    if (::stat(folder.c_str(), &found) != 0) return std::nullopt;  // said by who opens the file
    const mode_t forbidden = direct ? kOthersWrite : kStrangersWrite;
    const bool held = (found.st_mode & S_ISVTX) != 0 && (!direct || sticky == Sticky::suffices);
    if ((found.st_mode & forbidden) != 0 && !held) {
      return folder.string() + ": other users can write in this folder, and so replace " +
             path.string() + "; run: chmod go-w " + folder.string();
    }
    if (folder == folder.parent_path()) return std::nullopt;
    direct = false;
  }
}

// As the path is written, and as it is without symbolic links: whoever can change a link on the way
// can replace the file too.
std::optional<std::string> folders_problem(const std::string& path, Sticky sticky) {
  const fs::path written = fs::absolute(path).lexically_normal();
  if (auto problem = above_problem(written, sticky)) return problem;
  std::error_code error;
  const fs::path real = fs::canonical(written, error);
  return error || real == written ? std::nullopt : above_problem(real, sticky);
}

}  // namespace

std::optional<std::string> key_file_problem(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) {
    return path + ": the key file cannot be looked at: " + std::generic_category().message(errno);
  }
  if (!S_ISREG(found.st_mode)) return path + ": is not a file, so it holds no private key";
  if ((found.st_mode & (kOthersRead | kOthersWrite)) != 0) {
    const bool read = (found.st_mode & kOthersRead) != 0;
    return path + ": other users can " + (read ? "read" : "write") +
           " this private key; run: chmod 600 " + path;
  }
  return folders_problem(path, Sticky::suffices);
}

std::optional<std::string> database_file_problem(const std::string& path) {
  for (const char* end : {"", "-wal", "-shm"}) {
    const std::string file = path + end;
    struct stat found = {};
    if (::stat(file.c_str(), &found) != 0) continue;
    if ((found.st_mode & kOthersWrite) != 0) {
      return file + ": other users can write this database; run: chmod go-w " + file;
    }
  }
  // In a folder with the sticky bit others could still put a write-ahead log beside the database.
  return folders_problem(path, Sticky::does_not);
}

std::optional<std::string> private_folder_problem(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) {
    return path + ": cannot be looked at: " + std::generic_category().message(errno);
  }
  if (!S_ISDIR(found.st_mode)) return path + ": is not a folder";
  if ((found.st_mode & kOthersAnything) != 0) {
    return path + ": holds private keys but is open to other users; run: chmod 700 " + path;
  }
  return folders_problem(path, Sticky::suffices);
}

}  // namespace gatehouse
