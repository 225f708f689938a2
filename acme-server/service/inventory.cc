#include "acme-server/service/inventory.h"

#include <vector>

#include "acme-server/service/context.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

std::vector<IssuerState> issuers_of(const backends::BackendSet& backends) {
  std::vector<IssuerState> states;
  for (const backends::Backend* backend : backends.all()) {
    bool first = true;
    for (const backends::Issuer& issuer : backend->certificates->issuers()) {
      IssuerState state{.backend = backend->name,
                        .id = issuer.id,
                        .subject = issuer.certificate.subject_name,
                        .serial = issuer.certificate.serial,
                        .not_before = issuer.certificate.not_before,
                        .not_after = issuer.certificate.not_after,
                        .signs_new = first,
                        .crls = {}};
      first = false;
      if (backend->crls != nullptr) {
        for (const backends::CrlSigner::Shard& shard : backend->crls->shards()) {
          if (shard.issuer == issuer.id) state.crls.push_back({.url = shard.url, .in_force = {}});
        }
      }
      states.push_back(std::move(state));
    }
  }
  return states;
}

}  // namespace

InstallationState Inventory::state() {
  InstallationState state;
  state.schema = context_.store.schema();
  state.issuers = issuers_of(context_.backends);
  context_.store.read([&](store::Tx& tx) {
    for (IssuerState& issuer : state.issuers) {
      for (IssuerState::Crl& crl : issuer.crls)
        crl.in_force = tx.crls().in_force(issuer.id, crl.url);
    }
    state.jobs = tx.jobs().counts();
    state.parked = tx.jobs().parked();
    state.audit = tx.audit().head();
  });
  return state;
}

}  // namespace gatehouse::service
