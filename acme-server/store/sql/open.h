// From options to a database: the one place that knows which drivers there are.
#pragma once

#include <memory>

#include "acme-server/store/sql/database.h"
#include "acme-server/store/store_options.h"

namespace gatehouse::sql {

// Takes the database for this process. Throws DatabaseError, whose text is for the operator, when
// that is not possible: it is in use by another process, its folder does not exist.
std::unique_ptr<Database> open(const store::StoreOptions& options);

}  // namespace gatehouse::sql
