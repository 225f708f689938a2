#include "acme-server/crypto/version.h"

#include <openssl/crypto.h>

#include "acme-server/base/library_version.h"

namespace gatehouse::crypto {

LibraryVersion library_version() {
  return {.name = "OpenSSL",
          .number = {static_cast<int>(OPENSSL_version_major()),
                     static_cast<int>(OPENSSL_version_minor()),
                     static_cast<int>(OPENSSL_version_patch())}};
}

}  // namespace gatehouse::crypto
