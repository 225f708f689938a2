#include "acme-server/service/certificates/known_issuers.h"

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/crash_point.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/service/context.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuers.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"

namespace gatehouse::service {
namespace {

store::StoredIssuer stored(const std::string& backend, const backends::Issuer& issuer,
                           Instant now) {
  store::StoredIssuer row{
      .backend = backend, .id = issuer.id, .chain_pem = {}, .root_pem = {}, .added = now};
  for (const crypto::Certificate& each : issuer.chain) row.chain_pem += crypto::to_pem(each.der);
  if (issuer.root) row.root_pem = crypto::to_pem(issuer.root->der);
  return row;
}

backends::Issuer issuer_of(const store::StoredIssuer& row) {
  const auto chain = crypto::parse_pem_chain(row.chain_pem);
  if (!chain || chain->empty()) {
    throw std::runtime_error("the stored issuer " + row.id.str() + " of backend " + row.backend +
                             " cannot be read: " + (chain ? "it is empty" : chain.error()));
  }
  backends::Issuer issuer{
      .id = row.id, .certificate = chain->front(), .chain = *chain, .root = std::nullopt};
  if (row.root_pem.empty()) return issuer;
  const auto root = crypto::parse_pem_chain(row.root_pem);
  if (!root || root->empty()) {
    throw std::runtime_error("the stored root of issuer " + row.id.str() + " of backend " +
                             row.backend + " cannot be read");
  }
  issuer.root = root->front();
  return issuer;
}

store::AuditEvent issuer_event(std::string_view kind, const std::string& backend,
                               const backends::Issuer& issuer) {
  store::AuditEvent event;
  event.kind = kind;
  event.actor = ServerPrincipal{};
  event.details["backend"] = backend;
  event.details["issuer"] = issuer.id.str();
  event.details["subject"] = issuer.certificate.subject_name;
  event.details["der_sha256"] = crypto::sha256_hex(issuer.certificate.der);
  event.details["not_after"] = to_rfc3339(issuer.certificate.not_after);
  return event;
}

struct Change {
  std::string_view kind;
  std::string backend;
  backends::Issuer issuer;
};

using Current = std::map<std::string, backends::IssuersSnapshot>;

// Stores what the backends have.
std::vector<Change> store_current(store::Tx& tx, const Current& current) {
  std::vector<Change> changes;
  for (const auto& [backend, issuers] : current) {
    for (const backends::Issuer& issuer : issuers->all) {
      switch (tx.issuers().put(stored(backend, issuer, tx.now()))) {
        case store::Issuers::Put::added:
          changes.push_back({"issuer.added", backend, issuer});
          break;
        case store::Issuers::Put::changed:
          changes.push_back({"issuer.changed", backend, issuer});
          break;
        case store::Issuers::Put::same:
          break;
      }
    }
  }
  return changes;
}

// What no backend has: dropped when nothing needs it, else added to `kept`.
std::vector<Change> sort_out_others(store::Tx& tx, const Current& current,
                                    std::map<std::string, backends::Issuers>& kept) {
  std::vector<Change> changes;
  for (const store::StoredIssuer& row : tx.issuers().all()) {
    const auto backend = current.find(row.backend);
    if (backend != current.end() && backend->second->find(row.id) != nullptr) continue;
    backends::Issuer issuer = issuer_of(row);
    if (tx.issuers().remove_unneeded(row.backend, row.id)) {
      changes.push_back({"issuer.removed", row.backend, std::move(issuer)});
    } else {
      kept[row.backend].all.push_back(std::move(issuer));
    }
  }
  return changes;
}

}  // namespace

void remember_issuers(Context& context) {
  const auto one_at_a_time = context.backends.lock_keeping();
  Current current;
  for (const backends::Backend* backend : context.backends.all()) {
    current.emplace(backend->name, backend->certificates->issuers());
  }
  std::map<std::string, backends::Issuers> kept;
  std::vector<Change> changes;
  context.store.write([&](store::Tx& tx) {
    kept.clear();
    changes = store_current(tx, current);
    for (Change& change : sort_out_others(tx, current, kept)) changes.push_back(std::move(change));
    for (const Change& change : changes) {
      tx.audit().append(issuer_event(change.kind, change.backend, change.issuer));
    }
    crash_point("issuers.remembering");
  });
  crash_point("issuers.remembered");
  backends::BackendSet::KeptIssuers shared;
  for (auto& [backend, issuers] : kept) {
    shared.emplace(backend, std::make_shared<const backends::Issuers>(std::move(issuers)));
  }
  context.backends.keep(std::move(shared));
  for (const Change& change : changes) {
    context.log.info(change.kind, {{"backend", change.backend},
                                   {"issuer", change.issuer.id},
                                   {"subject", change.issuer.certificate.subject_name}});
  }
}

}  // namespace gatehouse::service
