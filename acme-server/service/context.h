// What every use case and job needs, gathered once by app::Server. Everything outlives the
// services.
#pragma once

#include <functional>
#include <memory>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/service/policy.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "validators/caa.h"
#include "validators/validator.h"

namespace gatehouse::service {

class Completions;
class IssuanceStops;
class JobRunner;

struct Context {
  store::Store& store;
  Clock& clock;
  Clock& job_clock;
  Entropy& entropy;
  Log& log;
  Metrics& metrics;
  PolicyInForce& policy;
  validators::ValidatorSet& validators;
  validators::Caa& caa;
  backends::BackendSet& backends;
  IssuanceStops& stops;
  std::function<void()> wake;  // tells the job runner that a job may be due; after a COMMIT only
  // The account's URL as clients see it (RFC 8657 accounturi), for validators.
  std::function<std::string(const DirectoryId&, const AccountId&)> account_url;
  // Begins jobs right after the COMMIT that wrote them; null: they wait until they are claimed.
  JobRunner* runner = nullptr;
  // Answers that wait for such a job's run; null: none waits.
  Completions* completions = nullptr;
  // The backends' too: a leaf that one of them has looked at is neither read nor verified again.
  std::shared_ptr<crypto::ChainChecker> chains = std::make_shared<crypto::ChainChecker>();
};

}  // namespace gatehouse::service
