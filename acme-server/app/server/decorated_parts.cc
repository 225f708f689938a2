#include "acme-server/app/server/decorated_parts.h"

#include <memory>
#include <string>
#include <utility>

#include "acme-server/app/signer/signer_process.h"
#include "acme-server/base/json.h"
#include "ca-backends/registry.h"
#include "validators/registry.h"

namespace gatehouse::app {

backends::BackendSet make_backends(const config::Config& config, Environment& environment,
                                   const std::shared_ptr<crypto::ChainChecker>& chains) {
  backends::BackendContext context =
      key_context(config, environment.clock, environment.entropy, environment.log);
  context.decorate_signer = environment.decorate.signer;
  context.chains = chains;
  const JsonObject all(config.backends, "backends");
  backends::BackendSet set;
  for (const auto& item : config.backends.items()) {
    const std::string& name = item.key();
    backends::Backend backend = backends::make_backend(name, all.object(name), context);
    backend.certificates = environment.decorate.backend(name, std::move(backend.certificates));
    set.add(std::move(backend));
  }
  return set;
}

validators::ValidatorSet make_validators(const config::Config& config, Environment& environment,
                                         net::Egress& egress) {
  validators::ValidatorSet plain =
      validators::make_validators(JsonObject(config.validators, "validators"), egress);
  validators::ValidatorSet set;
  for (auto& validator : std::move(plain).take()) {
    set.add(environment.decorate.validator(std::move(validator)));
  }
  return set;
}

}  // namespace gatehouse::app
