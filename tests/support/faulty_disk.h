// FaultyDisk: SQLite's default VFS with an fsync that is counted, and fails when a test says so.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cerrno>
#include <stdexcept>

namespace gatehouse::testing {

// While it lives, files that SQLite opens are opened through it. One at a time; make it before the
// database, destroy it after.
class FaultyDisk final {
 public:
  FaultyDisk() : system_(sqlite3_vfs_find(nullptr)) {
    vfs_ = *system_;
    vfs_.zName = "faulty-disk";
    vfs_.pAppData = this;
    vfs_.pNext = nullptr;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + system_->szOsFile;
    vfs_.xOpen = open;
    if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK) {
      throw std::runtime_error("cannot register a VFS");
    }
  }

  ~FaultyDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(system_, 1);
  }

  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  std::atomic<int> syncs = 0;  // asked for, of any file
  std::atomic<bool> fail_sync = false;
  std::atomic<int> fail_after = 1'000'000;  // syncs beyond this many fail
  std::atomic<bool> full = false;           // writes fail as on a full disk
  std::atomic<int> write_error = 0;         // writes fail with this errno; 0: they do not

 private:
  // What SQLite gets: our methods, and the real file behind it in the same allocation.
  struct File {
    sqlite3_file base;
    FaultyDisk* disk;

    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    auto* const disk = static_cast<FaultyDisk*>(vfs->pAppData);
    File& ours = of(file);
    ours.disk = disk;
    const int code = disk->system_->xOpen(disk->system_, name, ours.real(), flags, out);
    ours.base.pMethods = code == SQLITE_OK ? &kMethods : nullptr;
    return code;
  }

  static int sync(sqlite3_file* file, int flags) {
    FaultyDisk& disk = *of(file).disk;
    ++disk.syncs;
    return disk.fail_sync || disk.syncs > disk.fail_after
               ? SQLITE_IOERR_FSYNC
               : real(file)->pMethods->xSync(real(file), flags);
  }

  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
    FaultyDisk& disk = *of(file).disk;
    if (const int error = disk.write_error; error != 0) {
      errno = error;
      return SQLITE_IOERR_WRITE;
    }
    return disk.full ? SQLITE_FULL : real(file)->pMethods->xWrite(real(file), data, size, at);
  }

  static sqlite3_file* real(sqlite3_file* file) { return of(file).real(); }

  static const sqlite3_io_methods& methods(sqlite3_file* file) { return *real(file)->pMethods; }

  static inline const sqlite3_io_methods kMethods = {
      .iVersion = 2,
      .xClose = [](sqlite3_file* f) { return methods(f).xClose(real(f)); },
      .xRead = [](sqlite3_file* f, void* to, int size,
                  sqlite3_int64 at) { return methods(f).xRead(real(f), to, size, at); },
      .xWrite = write,
      .xTruncate = [](sqlite3_file* f,
                      sqlite3_int64 size) { return methods(f).xTruncate(real(f), size); },
      .xSync = sync,
      .xFileSize = [](sqlite3_file* f,
                      sqlite3_int64* size) { return methods(f).xFileSize(real(f), size); },
      .xLock = [](sqlite3_file* f, int lock) { return methods(f).xLock(real(f), lock); },
      .xUnlock = [](sqlite3_file* f, int lock) { return methods(f).xUnlock(real(f), lock); },
      .xCheckReservedLock = [](sqlite3_file* f,
                               int* out) { return methods(f).xCheckReservedLock(real(f), out); },
      .xFileControl = [](sqlite3_file* f, int op,
                         void* arg) { return methods(f).xFileControl(real(f), op, arg); },
      .xSectorSize = [](sqlite3_file* f) { return methods(f).xSectorSize(real(f)); },
      .xDeviceCharacteristics =
          [](sqlite3_file* f) { return methods(f).xDeviceCharacteristics(real(f)); },
      .xShmMap =
          [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
            return methods(f).xShmMap(real(f), page, size, extend, out);
          },
      .xShmLock = [](sqlite3_file* f, int at, int count,
                     int flags) { return methods(f).xShmLock(real(f), at, count, flags); },
      .xShmBarrier = [](sqlite3_file* f) { methods(f).xShmBarrier(real(f)); },
      .xShmUnmap = [](sqlite3_file* f,
                      int remove) { return methods(f).xShmUnmap(real(f), remove); },
      .xFetch = nullptr,
      .xUnfetch = nullptr,
  };

  sqlite3_vfs* system_;
  sqlite3_vfs vfs_;
};

}  // namespace gatehouse::testing
