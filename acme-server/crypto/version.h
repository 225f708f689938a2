// The OpenSSL that is loaded.
#pragma once

#include "acme-server/base/library_version.h"

namespace gatehouse::crypto {

LibraryVersion library_version();

}  // namespace gatehouse::crypto
