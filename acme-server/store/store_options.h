// Where the store keeps its data, and how durably.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace gatehouse::store {

// Whether a COMMIT waits for the disk. `off` is for tests: a crash of the machine then loses
// commits.
enum class Synchronous { full, off };

struct StoreOptions {
  // The SQLite file. Its folder must exist, on a local disk. SQLite's own "-wal" and "-shm" files
  // and our ".lock" stand beside it.
  std::string database = "gatehouse.db";
  Synchronous synchronous = Synchronous::full;
  // Less free space than this, in octets, on the database's disk stops issuance: what is left is
  // for revocations, CRLs and what was begun. 0: only a failed write does.
  std::uint64_t free_space_floor = std::uint64_t{64} * 1024 * 1024;
  // The write-ahead log is checkpointed between two groups once it has this many pages of 4 KiB.
  std::size_t checkpoint_pages = 4096;
  // Called when a write to disk may or may not have happened (a failed fsync): no state in memory
  // can be trusted from there on. Not given: says so on standard error and aborts. For tests: what
  // returns or throws here has the transaction fail with a DatabaseError.
  std::function<void(std::string_view message)> on_fatal = {};
};

}  // namespace gatehouse::store
