#include "acme-server/app/server/restore.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/app/server/server.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/service/operations/recovery.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/offline_database.h"
#include "acme-server/store/sql/lock_file.h"
#include "acme-server/store/sql/migrate.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/sql/sqlite_backup.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

namespace fs = std::filesystem;

// An audit log of some million events.
constexpr std::size_t kMaxAuditLog = std::size_t{4} << 30U;
constexpr const char* kKept = ".before-";

[[noreturn]] void fail(const std::string& path, int error) {
  throw std::runtime_error(path + ": " + std::generic_category().message(error));
}

void remove_all_of(const std::string& database) {
  for (const char* end : {"", "-wal", "-shm", "-journal", ".lock"}) {
    std::error_code ignored;
    fs::remove(database + end, ignored);
  }
}

void copy_private(RestoreSources& sources, const std::string& to) {
  const int descriptor = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) fail(to, errno);
  ::close(descriptor);
  std::ofstream copy(to, std::ios::binary);
  copy << sources.backup.rdbuf();
  copy.close();
  if (!sources.backup || !copy) {
    throw std::runtime_error(sources.name + ": could not be copied to " + to +
                             ": it is empty, or the disk is full");
  }
}

void link_to(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0 && errno != ENOENT) fail(to, errno);
}

void unlink_at(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail(path, errno);
}

// "gatehouse.db.before-2026-11-26T19:30:00Z": hard links, so that there is no moment without.
// The "-shm" file is an index of the log that SQLite makes anew.
std::string keep_old(const std::string& database, Instant now) {
  std::error_code error;
  if (!fs::exists(database, error)) return "";
  const std::string base = database + kKept + to_rfc3339(now);
  std::string kept = base;
  for (int i = 2; fs::exists(kept, error); ++i) kept = base + "." + std::to_string(i);
  link_to(database, kept);
  link_to(database + "-wal", kept + "-wal");
  return kept;
}

// After a restore that was broken off: the database as it was before, at its place, and there
// alone. Its file without its log is not that, nor is a copy of it.
void put_back_old(const std::string& database, const std::string& folder) {
  const std::string log = database + "-wal";
  std::vector<std::string> kept;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    std::error_code gone;
    if (!path.starts_with(database + kKept) || !fs::equivalent(path, database, gone)) continue;
    kept.push_back(path);
    if (!fs::exists(log)) link_to(path + "-wal", log);
  }
  sync_folder(folder);
  for (const std::string& path : kept) {
    unlink_at(path + "-wal");  // before what says that it is to be looked at
    unlink_at(path);
  }
}

void check_schema(const RestoreSources& sources, int schema) {
  const int known = sql::embedded_migrations().back().number;
  if (schema >= known || sources.older_schema) return;
  throw std::runtime_error(
      sources.name + ": has schema " + std::to_string(schema) + ", and this program's is " +
      std::to_string(known) +
      ": an earlier version made it. Is there no later backup? --force-older-schema takes it, and "
      "brings it up to this schema");
}

std::string export_events(store::OfflineDatabase& database, std::int64_t after) {
  constexpr std::size_t kPage = 1000;
  std::string log;
  for (;;) {
    const std::vector<store::AuditRow> rows = database.events(after, kPage);
    if (rows.empty()) return log;
    for (const store::AuditRow& row : rows) log += print_json(store::json_of(row)) + "\n";
    after = rows.back().sequence;
  }
}

// What the database at `path`, which the backup replaces, tells of the time since: its events, as
// far as they follow from the backup's, and its CRLs. Returns what it cannot tell.
std::vector<std::string> take_replaced(RestoreSources& sources, store::OfflineDatabase& backup,
                                       const std::string& path) {
  store::OfflineDatabase replaced(path);
  const store::AuditHead theirs = replaced.head();
  const store::AuditHead ours = backup.head();
  if (theirs.sequence == 0 || ours.sequence == 0) return {};
  if (replaced.hash_of_event(1) != backup.hash_of_event(1)) {
    if (sources.other_ca) {
      return {"the database before is another installation's, and nothing of it was taken over"};
    }
    throw std::runtime_error(sources.name + ": is of another installation than " + path +
                             ", which it would replace: their audit trails have nothing in "
                             "common. --force-other-ca takes it all the same");
  }
  sources.recovery.replaced_crls = replaced.crls();
  const bool follows = ours.sequence <= theirs.sequence
                           ? replaced.hash_of_event(ours.sequence) == ours.hash
                           : backup.hash_of_event(theirs.sequence) == theirs.hash;
  if (!follows) {
    return {
        "the database before went its own way since an earlier restore: its CRLs were taken "
        "over, its events were not"};
  }
  if (ours.sequence <= theirs.sequence) {  // without events since, it says that there were none
    sources.recovery.audit_logs.push_back(
        {.name = path, .content = export_events(replaced, ours.sequence)});
  }
  return {};
}

// Holds the backup's copy at `next` against the config and against the database that it replaces,
// and adds to `sources` what that one knows. Returns what it cannot know.
std::vector<std::string> compare(RestoreSources& sources, const std::string& next,
                                 const std::string& database) {
  store::OfflineDatabase backup(next);
  check_schema(sources, backup.schema());
  if (!sources.other_ca) sources.recovery.issuers = backup.issuers();
  if (std::error_code error; !fs::exists(database, error)) return {};
  if (const std::string why = sql::why_not_whole(database); !why.empty()) {
    return {"the database before is not whole, and nothing of it was taken over: " + why};
  }
  return take_replaced(sources, backup, database);
}

}  // namespace

RestoreSources open_sources(const RestoreRequest& request) {
  std::error_code error;
  if (!fs::is_regular_file(request.backup, error)) {
    throw std::runtime_error(request.backup + ": there is no such backup");
  }
  RestoreSources sources{.name = request.backup,
                         .backup = std::ifstream(request.backup, std::ios::binary),
                         .recovery = {},
                         .other_ca = request.other_ca,
                         .older_schema = request.older_schema};
  if (!sources.backup) fail(request.backup, errno);
  for (const std::string& file : request.crls) {
    sources.recovery.crls.push_back({.name = file, .content = read_file(file)});
  }
  for (const std::string& file : request.audit_logs) {
    sources.recovery.audit_logs.push_back({.name = file, .content = read_file(file, kMaxAuditLog)});
  }
  return sources;
}

Restored restore(const config::Config& config, RestoreSources sources,
                 const std::function<std::unique_ptr<Server>(const config::Config&)>& make_server) {
  const std::string database = fs::weakly_canonical(config.store.database).string();
  const std::string folder = fs::path(database).parent_path().string();
  const sql::LockFile lock(database + ".lock", "the database " + database);
  const std::string next = sql::unfinished_restore_of(database);
  if (fs::exists(next)) put_back_old(database, folder);
  remove_all_of(next);
  Restored restored;
  try {
    copy_private(sources, next);
    crash_point("restore.copied");
    if (const std::string why = sql::why_not_whole(next); !why.empty()) {
      throw std::runtime_error(sources.name + ": is not whole: " + why);
    }
    std::vector<std::string> unknown = compare(sources, next, database);
    config::Config at_work = config;
    at_work.store.database = next;
    const std::unique_ptr<Server> server = make_server(at_work);
    restored.recovered = server->recover(sources.recovery);
    restored.recovered.unknown.insert(restored.recovered.unknown.end(), unknown.begin(),
                                      unknown.end());
  } catch (...) {
    remove_all_of(next);
    throw;
  }
  crash_point("restore.recovered");
  sql::make_one_file(next);
  // From the first to the last of these steps the server does not start: what is at `next` says so.
  restored.kept = keep_old(database, SystemClock().now());
  sync_folder(folder);
  crash_point("restore.kept");
  for (const char* end : {"-wal", "-shm"}) unlink_at(database + end);
  sync_folder(folder);
  crash_point("restore.cleared");
  if (::rename(next.c_str(), database.c_str()) != 0) fail(database, errno);
  sync_folder(folder);
  crash_point("restore.placed");
  remove_all_of(next);
  return restored;
}

}  // namespace gatehouse::app
