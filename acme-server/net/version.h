// The c-ares that is loaded.
#pragma once

#include "acme-server/base/library_version.h"

namespace gatehouse::net {

LibraryVersion library_version();

}  // namespace gatehouse::net
