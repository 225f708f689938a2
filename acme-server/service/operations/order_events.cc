#include "acme-server/service/operations/order_events.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/service/operations/order_diagnosis.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

// The last event before `moment`, by binary search: events are ordered by time.
std::int64_t sequence_before(store::Tx& tx, Instant moment) {
  std::int64_t before = 0;
  std::int64_t behind = tx.audit().head().sequence + 1;
  while (behind - before > 1) {
    const std::int64_t middle = before + (behind - before) / 2;
    const std::vector<store::AuditRow> row = tx.audit().list(middle - 1, 1);
    if (!row.empty() && row.front().at < moment) {
      before = middle;
    } else {
      behind = middle;
    }
  }
  return before;
}

// The authorizations and the concluding events that were not found yet.
class Awaited {
 public:
  explicit Awaited(const OrderDiagnosis& diagnosis) {
    for (const Authorization& each : diagnosis.authorizations) {
      all_.insert(each.id.str());
      if (each.status == AuthorizationStatus::pending) {
        open_ = true;
      } else {
        ends_.insert(end_of(each.id.str(), "authorization." + std::string(to_string(each.status))));
      }
    }
  }

  bool concerns(const store::AuditRow& row) {
    const auto& id = row.event.authorization;
    if (!id || row.event.order || !all_.contains(id->str())) return false;
    ends_.erase(end_of(id->str(), row.event.kind));
    return true;
  }

  bool all_concluded() const { return !open_ && ends_.empty(); }

 private:
  static std::pair<std::string, std::string> end_of(std::string id, std::string kind) {
    return {std::move(id), std::move(kind)};
  }

  std::set<std::string> all_;
  std::set<std::pair<std::string, std::string>> ends_;  // the events that conclude them
  bool open_ = false;
};

}  // namespace

void add_authorization_events(store::Store& store, OrderDiagnosis& diagnosis) {
  if (diagnosis.authorizations.empty() || !diagnosis.order.account) return;
  const bool finalized = diagnosis.order.finalization.has_value() && !diagnosis.events.empty();
  const std::int64_t last =
      finalized ? diagnosis.events.back().sequence : std::numeric_limits<std::int64_t>::max();
  const Instant made =
      std::ranges::min(diagnosis.authorizations, {}, &Authorization::created).created;
  store::AuditFilter of_account;
  of_account.account = diagnosis.order.account->str();
  Awaited awaited(diagnosis);
  std::int64_t after = store.read([&](store::Tx& tx) { return sequence_before(tx, made); });
  for (int page_number = 0; page_number < kAuthorizationPages; ++page_number) {
    store::AuditPage page = store.read(
        [&](store::Tx& tx) { return tx.audit().search(of_account, after, kAuthorizationPage); });
    for (store::AuditRow& row : page.rows) {
      if (row.sequence <= last && awaited.concerns(row)) diagnosis.events.push_back(std::move(row));
    }
    const bool enough = finalized ? page.next >= last : awaited.all_concluded();
    if (enough || !page.next) break;
    after = *page.next;
  }
  std::ranges::sort(diagnosis.events, {}, &store::AuditRow::sequence);
}

}  // namespace gatehouse::service
