// The SQLite that is loaded.
#pragma once

#include "acme-server/base/library_version.h"

namespace gatehouse::sql {

LibraryVersion library_version();

}  // namespace gatehouse::sql
