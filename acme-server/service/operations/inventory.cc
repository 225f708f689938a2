#include "acme-server/service/operations/inventory.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/core/principal.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/operations/order_diagnosis.h"
#include "acme-server/service/operations/order_events.h"
#include "acme-server/service/orders/order_view.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/certificates.h"
#include "acme-server/store/jobs.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"

namespace gatehouse::service {
namespace {

// How many events one read verifies: a tenth of a second.
constexpr std::size_t kVerifySlice = 20'000;

// Reads a cursor from OrderPage::next. Without one, or with a text that is none, starts at the
// newest.
std::int64_t sequence_of(const std::string& cursor) {
  std::int64_t sequence = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), sequence);
  const bool whole = error == std::errc() && end == cursor.data() + cursor.size();
  return whole ? sequence : std::numeric_limits<std::int64_t>::max();
}

std::vector<IssuerState> issuers_of(const backends::BackendSet& backends) {
  std::vector<IssuerState> states;
  for (const backends::Backend* backend : backends.all()) {
    const backends::IssuersSnapshot own = backend->certificates->issuers();
    const auto add = [&](const backends::Issuer& issuer) {
      IssuerState state{.backend = backend->name,
                        .id = issuer.id,
                        .subject = issuer.certificate.subject_name,
                        .serial = issuer.certificate.serial,
                        .not_before = issuer.certificate.not_before,
                        .not_after = issuer.certificate.not_after,
                        .signs_new = own->in_use() != nullptr && issuer.id == own->in_use()->id,
                        .crls = {}};
      for (const backends::CrlShard& shard : own->shards) {
        if (shard.issuer == issuer.id) state.crls.push_back({.url = shard.url, .in_force = {}});
      }
      states.push_back(std::move(state));
    };
    for (const backends::IssuersSnapshot& known : backends.known_issuers(backend->name)) {
      for (const backends::Issuer& issuer : known->all) add(issuer);
    }
  }
  return states;
}

std::vector<FailedProof> failed_proofs(const std::vector<Authorization>& authorizations) {
  std::vector<FailedProof> failed;
  for (const Authorization& authorization : authorizations) {
    for (const Challenge& challenge : authorization.challenges) {
      if (!challenge.error) continue;
      failed.push_back({.identifier = authorization.identifier,
                        .challenge = challenge.type,
                        .problem = *challenge.error});
    }
  }
  return failed;
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
    state.stopped_backends = backend_stops(tx, context_.backends);
    state.audit = tx.audit().head();
  });
  return state;
}

store::CertificatePage Inventory::certificates(const store::CertificateFilter& filter,
                                               const std::optional<CertificateId>& after,
                                               std::size_t limit) {
  return context_.store.read(
      [&](store::Tx& tx) { return tx.certificates().search(filter, after, limit); });
}

std::vector<std::string> Inventory::profiles_of(
    const std::vector<CertificateRecord>& certificates) {
  return context_.store.read([&](store::Tx& tx) {
    std::vector<std::string> profiles;
    for (const CertificateRecord& certificate : certificates) {
      const auto order = tx.orders().get(certificate.order);
      profiles.push_back(order ? order->profile : "");
    }
    return profiles;
  });
}

std::vector<CertificateRecord> Inventory::certificate(const std::string& id_or_serial) {
  return context_.store.read([&](store::Tx& tx) -> std::vector<CertificateRecord> {
    if (auto found = tx.certificates().get(CertificateId(id_or_serial))) return {*found};
    std::string serial = to_lower(id_or_serial);
    std::erase(serial, ':');
    return tx.certificates().with_serial(serial);
  });
}

std::vector<Account> Inventory::accounts(const std::optional<AccountId>& after, std::size_t limit) {
  return context_.store.read([&](store::Tx& tx) { return tx.accounts().list(after, limit); });
}

std::optional<Inventory::AccountView> Inventory::account(const AccountId& id) {
  return context_.store.read([&](store::Tx& tx) -> std::optional<AccountView> {
    auto account = tx.accounts().get(id);
    if (!account) return std::nullopt;
    return AccountView{.account = std::move(*account),
                       .open_orders = tx.orders().count_open(id, tx.now()),
                       .refusals = tx.refusals().of(id)};
  });
}

Inventory::OrderPage Inventory::orders(const std::string& account, const std::string& after,
                                       std::size_t limit) {
  return context_.store.read([&](store::Tx& tx) {
    std::vector<OrderId> ids;
    OrderPage page;
    if (!account.empty()) {
      const auto behind = after.empty() ? std::nullopt : std::optional(OrderId(after));
      ids = tx.orders().newest(AccountId(account), behind, limit);
      if (ids.size() == limit) page.next = ids.back().str();
    } else {
      auto created = tx.audit().created_orders(sequence_of(after), limit);
      ids = std::move(created.orders);
      if (created.next > 0) page.next = std::to_string(created.next);
    }
    for (const OrderId& id : ids) {
      auto order = tx.orders().get(id);
      if (!order) continue;  // pruned; its events stay
      const std::vector<Authorization> authorizations = tx.authorizations().of_order(id);
      page.orders.push_back({.view = view_of(std::move(*order), authorizations, tx.now()),
                             .failed_proofs = failed_proofs(authorizations)});
    }
    return page;
  });
}

Inventory::OrderPage Inventory::undecided_orders(const std::string& after, std::size_t limit) {
  return context_.store.read([&](store::Tx& tx) {
    OrderPage page;
    const auto behind = after.empty() ? std::nullopt : std::optional(OrderId(after));
    const std::vector<OrderId> ids = tx.issuances().undecided(behind, limit);
    if (ids.size() == limit) page.next = ids.back().str();
    for (const OrderId& id : ids) {
      const auto job = tx.jobs().find(store::JobKind::issue_certificate, id.str());
      page.orders.push_back(
          {.view = view_of(tx.orders().get(id).value(), tx.authorizations().of_order(id), tx.now()),
           .failed_proofs = {},
           .asked_again = job ? std::optional(job->run_at) : std::nullopt});
    }
    return page;
  });
}

std::optional<OrderDiagnosis> Inventory::order(const OrderId& id) {
  auto found = context_.store.read([&](store::Tx& tx) -> std::optional<OrderDiagnosis> {
    auto order = tx.orders().get(id);
    if (!order) return std::nullopt;
    OrderDiagnosis diagnosis;
    diagnosis.order = std::move(*order);
    diagnosis.authorizations = tx.authorizations().of_order(id);
    diagnosis.status = status_of(diagnosis.order, diagnosis.authorizations, tx.now());
    for (const Authorization& authorization : diagnosis.authorizations) {
      for (const Challenge& challenge : authorization.challenges) {
        const auto job = tx.jobs().find(store::JobKind::validate_challenge, challenge.id.str());
        if (job) diagnosis.validations.emplace_back(challenge.id, *job);
      }
    }
    diagnosis.issuances = tx.issuances().all_of(id);
    diagnosis.issuing = tx.jobs().find(store::JobKind::issue_certificate, id.str());
    if (diagnosis.order.certificate)
      diagnosis.certificate = tx.certificates().get(*diagnosis.order.certificate);
    diagnosis.events = tx.audit().of_order(id);
    return diagnosis;
  });
  if (!found) return found;
  add_authorization_events(context_.store, *found);
  found->stops = context_.stops.all();
  return found;
}

bool Inventory::resume_order(const OrderId& id, const Principal& actor) {
  const bool resumed = context_.store.write([&](store::Tx& tx) {
    const auto order = tx.orders().get(id);
    if (!order || !tx.jobs().unpark(store::JobKind::issue_certificate, id.str(), tx.job_now())) {
      return false;
    }
    tx.audit().append(event_of("order.resumed", *order, actor));
    tx.after_commit(context_.wake);
    return true;
  });
  if (resumed) context_.log.info("order.resumed", {{"order", id}, {"by", to_string(actor)}});
  return resumed;
}

store::AuditPage Inventory::audit(const store::AuditFilter& filter, std::int64_t after,
                                  std::size_t limit) {
  return context_.store.read(
      [&](store::Tx& tx) { return tx.audit().search(filter, after, limit); });
}

store::Audit::Verified Inventory::verify_audit(const store::AuditHead& from) {
  return context_.store.read([&](store::Tx& tx) { return tx.audit().verify(from, kVerifySlice); });
}

}  // namespace gatehouse::service
