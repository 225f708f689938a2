#include "acme-server/store/sql/sqlite_backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "acme-server/base/files.h"
#include "acme-server/base/technical_detail.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/sql/sqlite_handles.h"

namespace gatehouse::sql {
namespace {

// Pages of one step: 4 MiB, some milliseconds.
constexpr int kStepPages = 1024;

struct FinishBackup {
  void operator()(sqlite3_backup* backup) const noexcept { sqlite3_backup_finish(backup); }
};

[[noreturn]] void fail(sqlite3* handle, const std::string& path,
                       const std::string& statement = "") {
  throw Detailed<DatabaseError>(path + ": " + sqlite3_errmsg(handle), statement);
}

std::string path_of(sqlite3* handle) {
  const char* path = sqlite3_db_filename(handle, "main");
  return path == nullptr ? "the database" : path;
}

[[noreturn]] void fail_file(const std::string& path) {
  throw DatabaseError(path + ": " + std::generic_category().message(errno));
}

DatabaseHandle open_at(const std::string& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  DatabaseHandle handle(raw);
  if (code != SQLITE_OK) fail(raw, path);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_busy_timeout(raw, kBusyMilliseconds);
  return handle;
}

// The first column of the first row.
std::string ask(sqlite3* handle, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(handle, sql, -1, &raw, nullptr) != SQLITE_OK)
    fail(handle, path_of(handle), sql);
  const StatementHandle statement(raw);
  const int code = sqlite3_step(raw);
  if (code == SQLITE_DONE) return "";
  if (code != SQLITE_ROW) fail(handle, path_of(handle), sql);
  const unsigned char* text = sqlite3_column_text(raw, 0);
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

// Goes with the file, until it is kept.
class NewFile final {
 public:
  explicit NewFile(std::string path) : path_(std::move(path)) {
    const int descriptor =
        ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) fail_file(path_);
    ::close(descriptor);
  }

  ~NewFile() {
    // Whatever SQLite has left beside it goes too.
    for (const char* end : {"", "-journal", "-wal", "-shm"}) ::unlink((path_ + end).c_str());
  }

  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void check_room(sqlite3* source, const std::string& to, std::uint64_t keep_free) {
  const std::uint64_t size =
      std::stoull(ask(source, "PRAGMA page_count")) * std::stoull(ask(source, "PRAGMA page_size"));
  const std::string folder = std::filesystem::path(to).parent_path().string();
  struct statvfs disk{};
  if (::statvfs(folder.c_str(), &disk) != 0) fail_file(folder);
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free < size + keep_free) {
    throw DatabaseError(to + ": the copy takes " + std::to_string(size >> 20U) +
                        " MiB, and its disk has " + std::to_string(free >> 20U) +
                        " MiB free, of which " + std::to_string(keep_free >> 20U) +
                        " MiB are to stay free; choose another disk");
  }
}

void copy_pages(sqlite3* source, sqlite3* target) {
  const std::unique_ptr<sqlite3_backup, FinishBackup> backup(
      sqlite3_backup_init(target, "main", source, "main"));
  if (!backup) fail(target, path_of(target));
  int code = SQLITE_OK;
  while (code == SQLITE_OK) code = sqlite3_backup_step(backup.get(), kStepPages);
  if (code != SQLITE_DONE) {
    throw DatabaseError(path_of(target) + ": cannot be filled: " + sqlite3_errstr(code));
  }
}

void sync_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) fail_file(path);
  const bool synced = ::fsync(descriptor) == 0;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  if (!synced) fail_file(path);
}

void check_copy(sqlite3* copy, const std::string& schema) {
  if (const std::string found = ask(copy, "PRAGMA integrity_check"); found != "ok") {
    throw DatabaseError("the copy is not whole, and was thrown away: " + found);
  }
  if (const std::string found = ask(copy, "PRAGMA foreign_key_check"); !found.empty()) {
    throw DatabaseError("the copy has rows of " + found + " that refer to nothing");
  }
  if (ask(copy, "SELECT MAX(number) FROM schema_migrations") != schema) {
    throw DatabaseError("the copy has another schema, and was thrown away");
  }
}

}  // namespace

void copy_sqlite(const std::string& from, const std::string& to, std::uint64_t keep_free,
                 const std::function<void()>& source_open) {
  const std::string target = std::filesystem::absolute(to).lexically_normal().string();
  const DatabaseHandle source = open_at(from, SQLITE_OPEN_READWRITE);
  ask(source.get(), "PRAGMA wal_autocheckpoint = 0");
  ask(source.get(), "PRAGMA query_only = 1");
  // One read transaction from the first page to the last: else every write between two steps would
  // have SQLite begin the copy anew.
  ask(source.get(), "BEGIN");
  const std::string schema = ask(source.get(), "SELECT MAX(number) FROM schema_migrations");
  source_open();  // the read above has opened the log and its index as well
  if (::access(target.c_str(), F_OK) == 0) {
    throw DatabaseError(target + ": is there already; choose another name");
  }
  check_room(source.get(), target, keep_free);
  const NewFile file(target + ".part");
  {
    const DatabaseHandle copy = open_at(file.path(), SQLITE_OPEN_READWRITE);
    ask(copy.get(), "PRAGMA synchronous = OFF");  // it is synced as a whole, below
    copy_pages(source.get(), copy.get());
    ask(source.get(), "ROLLBACK");
    if (ask(copy.get(), "PRAGMA journal_mode = DELETE") != "delete") {
      throw DatabaseError(target + ": cannot be made one file");
    }
    check_copy(copy.get(), schema);
  }
  sync_file(file.path());
  // A link, which refuses a name that was taken meanwhile, and not a rename, which replaces.
  if (::link(file.path().c_str(), target.c_str()) != 0) fail_file(target);
  sync_folder(std::filesystem::path(target).parent_path().string());
}

std::string why_not_whole(const std::string& path) {
  try {
    const DatabaseHandle handle = open_at(path, SQLITE_OPEN_READWRITE);
    if (std::string found = ask(handle.get(), "PRAGMA integrity_check"); found != "ok")
      return found;
    if (ask(handle.get(), "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_migrations'") !=
        "1") {
      return "it is no database of Gatehouse";
    }
    return "";
  } catch (const DatabaseError& error) {
    return error.what();
  }
}

void make_one_file(const std::string& path) {
  {
    const DatabaseHandle handle = open_at(path, SQLITE_OPEN_READWRITE);
    if (ask(handle.get(), "PRAGMA journal_mode = DELETE") != "delete") {
      throw DatabaseError(path + ": cannot be made one file");
    }
  }
  sync_file(path);
}

}  // namespace gatehouse::sql
