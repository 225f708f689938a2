#include "acme-server/service/backends/trial.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/log.h"
#include "acme-server/base/secret.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/csr.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/service/backends/backend_stop.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/issuance/intent.h"
#include "acme-server/service/issuance/own_certificate_job.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

struct Rules {
  DirectoryId directory;
  Profile profile;
};

Rules rules_for(const Policy& policy, const std::string& backend) {
  for (const auto& [name, directory] : policy.directories) {
    for (const auto& [unused, profile] : directory.profiles) {
      if (profile.backend == backend) return {.directory = name, .profile = profile};
    }
  }
  reject(ProblemType::malformed, "No profile names backend " + backend +
                                     ", so that nothing is issued by it; set the backend of one.");
}

}  // namespace

OrderId begin_trial(Context& context, const std::string& backend, const std::string& name,
                    const Principal& by) {
  const std::shared_ptr<const Policy> policy = context.policy.get();
  const Rules rules = rules_for(*policy, backend);
  const auto identifier = dns_identifier(name);
  if (!identifier) {
    reject(ProblemType::malformed, "\"" + name + "\" is no DNS name: " + identifier.error().detail);
  }
  const auto kind = lightest_key_kind(rules.profile);
  if (!kind) {
    reject(ProblemType::malformed,
           "Profile " + rules.profile.name +
               " allows no key that this server can make for a trial; add ec-p256, ec-p384 or rsa "
               "to its key_types.");
  }
  const auto signer = crypto::load_signer(crypto::generate_private_key(*kind), Secret());
  const Bytes csr = crypto::make_csr(*signer, {identifier->value}, {});
  const Instant now = context.clock.now();
  const Order order{.id = OrderId(random_row_id(context.entropy, now)),
                    .directory = rules.directory,
                    .account = std::nullopt,
                    .profile = rules.profile.name,
                    .identifiers = {*identifier},
                    .authorizations = {},
                    .not_before = std::nullopt,
                    .not_after = std::nullopt,
                    .created = now,
                    .expires = now + rules.profile.order_lifetime,
                    .finalization = Finalization{.csr = base64url_encode(csr), .at = now},
                    .certificate = std::nullopt,
                    .error = std::nullopt};
  const store::Issuance issuance =
      prepare_issuance(context, order, rules.profile, csr, signer->public_key());
  const std::string job = random_row_id(context.entropy, context.job_clock.now());
  context.store.write([&](store::Tx& tx) {
    tx.orders().insert(order);
    tx.issuances().insert(issuance);
    tx.jobs().enqueue(job, store::JobKind::issue_certificate, order.id.str(), tx.job_now());
    tx.audit().append(event_of("order.created", order, by));
    tx.audit().append(intent_event(order, issuance, by));
    begin_trial_of(tx, backend, order.id);
    tx.after_commit(context.wake);
  });
  context.log.info("backend.trial", {{"backend", backend}, {"order", order.id}});
  return order.id;
}

}  // namespace gatehouse::service
