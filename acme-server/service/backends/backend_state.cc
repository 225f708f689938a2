#include "acme-server/service/backends/backend_state.h"

#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/context.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"

namespace gatehouse::service {

std::vector<BackendState> backend_states(Context& context) {
  std::vector<BackendState> states;
  for (backends::Backend* backend : context.backends.all()) {
    BackendState state{
        .name = backend->name,
        .type = backend->type,
        .why_not_ready = backend->certificates->why_not_ready(),
        .stop = context.store.read([&](store::Tx& tx) { return backend_stop(tx, backend->name); }),
        .issuers = {}};
    const backends::IssuersSnapshot issuers = backend->certificates->issuers();
    for (const backends::Issuer& issuer : issuers->all) {
      state.issuers.push_back({.id = issuer.id,
                               .subject = issuer.certificate.subject_name,
                               .not_after = issuer.certificate.not_after});
    }
    states.push_back(std::move(state));
  }
  return states;
}

Expected<std::string, std::string> probe_backend(Context& context, const std::string& backend) {
  const backends::Backend* found = context.backends.find(backend);
  ACME_CHECK(found != nullptr);
  if (found->probe != nullptr) {
    return found->probe->probe(Deadline::in(context.policy.get()->server.issuance_timeout));
  }
  if (auto why = found->certificates->why_not_ready()) return Unexpected{std::move(*why)};
  return std::string();
}

}  // namespace gatehouse::service
