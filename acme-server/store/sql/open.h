// From options to a database: the one place that knows which drivers there are.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "acme-server/store/sql/database.h"
#include "acme-server/store/store_options.h"

namespace gatehouse::sql {

// Takes the database for this process. Throws DatabaseError, whose text is for the operator, when
// that is not possible: it is in use by another process, its folder does not exist.
std::unique_ptr<Database> open(const store::StoreOptions& options);

// A connection that only reads, beside whoever has the database: no lock is taken, nothing made or
// migrated, and nothing checkpointed (ADR 0012). The schema is whatever is there. Null when there
// is no database yet. Throws DatabaseError.
std::unique_ptr<Connection> look_at(const std::string& database);

// Copies the database of `options`, which may be in use by another connection of this process or by
// another process, as it is at one moment, to the new file `to`: see copy_sqlite(). Room for
// free_space_floor stays on the disk.
// `source_open` is called between the opening of the database and that of the new file. Throws
// DatabaseError also while a restore of the database is unfinished.
void backup(
    const store::StoreOptions& options, const std::string& to,
    const std::function<void()>& source_open = [] {});

// Where a restore puts together what will be at `database`. While it is there nobody opens the
// database: it would be half of each.
std::string unfinished_restore_of(const std::string& database);

}  // namespace gatehouse::sql
