// Owners of SQLite's handles, for the two files that call it.
#pragma once

#include <sqlite3.h>

#include <memory>

namespace gatehouse::sql {

struct CloseDatabase {
  void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
};

using DatabaseHandle = std::unique_ptr<sqlite3, CloseDatabase>;

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

using StatementHandle = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// Nobody but us writes; an operator's `sqlite3` shell or backup may hold a lock for a moment.
inline constexpr int kBusyMilliseconds = 5000;

}  // namespace gatehouse::sql
