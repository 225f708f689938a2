// The exec backend: any CA that a program can speak to.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "ca-backends/backend.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

// As make_backend() does: throws JsonError naming the option, or std::runtime_error naming the
// file: a program that is missing or cannot be run, a root or a CA that cannot be read.
Backend make_exec(const std::string& name, const JsonObject& options,
                  const BackendContext& context);

// None: the CA publishes its CRLs itself.
std::vector<CrlShard> crls_of_exec(const JsonObject& options, const BackendContext& context);

}  // namespace gatehouse::backends
