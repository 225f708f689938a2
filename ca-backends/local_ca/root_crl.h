// The CRL of the root, whose key is elsewhere: an operator puts it into a file, and we publish it.
#pragma once

#include <cstdint>
#include <string>

#include "acme-server/crypto/certificate.h"
#include "ca-backends/backend.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

struct HeldRootCrl {
  OfflineCrl crl;
  std::int64_t number = 0;  // RFC 5280 section 5.2.3
};

// The CRL in the file `path` (DER), which `root` must have signed. It is published where `below`,
// the CA certificate right below the root, says that it will be looked for. Throws
// std::runtime_error that names the file: unreadable, no CRL, or another CA's.
HeldRootCrl read_root_crl(const BackendContext& context, const std::string& path,
                          const crypto::Certificate& root, const crypto::Certificate& below);

}  // namespace gatehouse::backends
