// What operators see of the backends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/core/ids.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

struct BackendState {
  struct Issuer {
    IssuerId id;
    std::string subject;  // RFC 4514
    Instant not_after;
  };

  std::string name, type;                    // "corp", "exec"
  std::optional<std::string> why_not_ready;  // as its backend says
  std::optional<BackendStop> stop;
  std::vector<Issuer> issuers;  // the one in use first
};

// Of every backend. May ask their CAs, for a second or two each. Blocks on the database.
std::vector<BackendState> backend_states(Context& context);

// Asks the CA of `backend` whether it would take requests, and enrols nothing: what it says, in
// lines. The error is a sentence: what would fail. A backend that has nothing to ask says whether
// it is ready.
Expected<std::string, std::string> probe_backend(Context& context, const std::string& backend);

}  // namespace gatehouse::service
