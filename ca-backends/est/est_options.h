// The EST backend's own part of the config: {"type": "est", …}.
#pragma once

#include <string>

#include "acme-server/base/json.h"
#include "ca-backends/https/https_options.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {

struct EstOptions {
  RemoteCaOptions remote;
  HttpsOptions https;
  std::string
      base;  // what operations' paths follow: "https://est.corp.example/.well-known/est/web"
};

// A `url` without a path means the well-known one (RFC 7030 section 3.2.2). Throws JsonError naming
// the option.
EstOptions read_est_options(const JsonObject& options);

void check_est_options(const JsonObject& options);

}  // namespace gatehouse::backends
