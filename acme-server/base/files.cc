#include "acme-server/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "acme-server/base/file_access.h"

namespace gatehouse {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::system_error(errno, std::generic_category(), path + ": " + what);
}

// A file descriptor with an owner.
class Descriptor final {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (descriptor_ < 0) fail(path, "cannot be opened");
  }

  ~Descriptor() { ::close(descriptor_); }

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void write_all(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path, "cannot be written");
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Gives the finished file at `temporary` its name.
void take_name(const std::string& temporary, const std::string& path, ExistingFile existing) {
  if (existing == ExistingFile::replace) {
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot be replaced");
    return;
  }
  // link() is the call that refuses a name that is taken; rename() would replace it.
  if (::link(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot be created");
  ::unlink(temporary.c_str());
}

}  // namespace

std::string read_file(const std::string& path, std::size_t limit) {
  const Descriptor file(path, O_RDONLY);
  std::string content;
  std::array<char, 16384> piece;
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "cannot be read");
    if (got == 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(got));
    if (content.size() > limit) {
      throw std::runtime_error(path + ": is larger than " + std::to_string(limit) + " bytes");
    }
  }
}

void write_file(const std::string& path, std::string_view content, FileAccess access,
                ExistingFile existing) {
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());  // of a write that a crash cut short
  try {
    const mode_t mode = access == FileAccess::owner_only ? 0600 : 0644;
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (::fchmod(file.get(), mode) != 0) fail(path, "cannot be given its mode");  // past the umask
    write_all(file.get(), content, path);
    if (::fsync(file.get()) != 0) fail(path, "cannot be synced to disk");
    take_name(temporary, path, existing);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder_of(path));
}

void make_private_folder(const std::string& path) {
  const std::string above = folder_of(path);
  if (std::error_code missing; !std::filesystem::exists(above, missing)) make_private_folder(above);
  if (::mkdir(path.c_str(), 0700) == 0) {
    sync_folder(folder_of(path));
    return;
  }
  if (errno != EEXIST) fail(path, "the folder cannot be made");
  if (const auto problem = private_folder_problem(path)) throw std::runtime_error(*problem);
}

std::string path_in(const std::string& folder, const std::string& path) {
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

void sync_folder(const std::string& path) {
  const Descriptor folder(path, O_RDONLY | O_DIRECTORY);
  if (::fsync(folder.get()) != 0) fail(path, "the folder cannot be synced to disk");
}

}  // namespace gatehouse
