// The EST backend: a CA that speaks RFC 7030, with us as its registration authority.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "ca-backends/backend.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

// As make_backend() does: throws JsonError naming the option, or std::runtime_error naming the
// file: a CA, certificate or key that cannot be read, a key that is not the certificate's. The CA
// itself is not asked.
Backend make_est(const std::string& name, const JsonObject& options, const BackendContext& context);

// None: the CA publishes its CRLs itself.
std::vector<CrlShard> crls_of_est(const JsonObject& options, const BackendContext& context);

}  // namespace gatehouse::backends
