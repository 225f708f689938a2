// The audit trail: events inside the transaction they describe, sealed into a hash chain at COMMIT.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// What happened, to what, and who did it. Never holds a secret.
struct AuditEvent {
  std::string kind;  // "order.created", "certificate.issued"
  Principal actor;   // who did it
  std::optional<DirectoryId> directory;
  std::optional<AccountId> account;
  std::optional<OrderId> order;
  std::optional<AuthorizationId> authorization;
  std::optional<CertificateId> certificate;
  Json details = Json::object();  // the rest: serial, names, problem, trail
};

struct AuditRow {
  std::int64_t sequence = 0;  // from 1, without gaps once sealed
  Instant at;
  AuditEvent event;
  std::string hash;  // hex SHA-256 over the previous hash and this row; empty: not sealed yet
};

// The end of the chain. Kept elsewhere, it later proves that no events were cut off.
struct AuditHead {
  std::int64_t sequence = 0;  // 0: no event is sealed yet
  std::string hash;

  friend bool operator==(const AuditHead&, const AuditHead&) = default;
};

// The hash of `row` when the event before it has the hash `previous` (empty: `row` is the first).
std::string chained_hash(const std::string& previous, const AuditRow& row);

// One line of the exported log, all of an event: {"sequence": 7, "at": "…", "kind": …, "actor": …,
// "directory", "account", "order", "authorization", "certificate" (null where there is none),
// "details": {…}, "hash": "…"}. audit_row_of() throws JsonError.
Json json_of(const AuditRow& row);
AuditRow audit_row_of(const Json& line);

// Which events an operator asks for. An empty field matches every event.
struct AuditFilter {
  std::string account, order, certificate, kind, actor;
  std::optional<Instant> since;
};

struct AuditPage {
  std::vector<AuditRow> rows;
  std::optional<std::int64_t> next;  // pass as `after` for the next page; none: this was the last
};

// An event as the columns of its row, which COMMIT seals and writes.
struct UnsealedEvent {
  std::int64_t id = 0;
  std::int64_t happened_at = 0;
  std::string kind, actor;
  std::optional<std::string> directory, account, order, authorization, certificate;
  std::string details;  // JSON text
};

// Numbers rows in the order of their arrival until they are sealed: the process's number, counted
// up in the database at each start, then a count. No two processes share one, and none waits for
// another.
using ArrivalCounter = std::atomic<std::int64_t>;
inline constexpr int kArrivalBits = 32;  // of the count; above them the process's number

class Audit {
 public:
  // `unsealed` gets what is appended; null: a read.
  Audit(sql::Connection& connection, Instant now, ArrivalCounter& arrivals,
        std::vector<UnsealedEvent>* unsealed)
      : connection_(connection), now_(now), arrivals_(arrivals), unsealed_(unsealed) {}

  // The row is written at COMMIT: reads in the same transaction do not see it. `event.actor` is
  // somebody: UnknownPrincipal is a LogicError.
  void append(const AuditEvent& event);

  // Writes `events`, hashed, in order. The store calls it inside each COMMIT.
  void seal(const std::vector<UnsealedEvent>& events);

  // Oldest first; list() gives sealed rows alone.
  std::vector<AuditRow> of_order(const OrderId& order);
  std::vector<AuditRow> list(std::int64_t after_sequence, std::size_t limit);
  // Filtered. Looks at a limited number of rows per call, so a page may be empty and have a next
  // one.
  AuditPage search(const AuditFilter& filter, std::int64_t after_sequence, std::size_t limit);

  // Orders by their "order.created", newest first, before `sequence`: orders themselves are not
  // kept in the order of time. Looks at a limited number of events per call: go on from `next`.
  struct CreatedOrders {
    std::vector<OrderId> orders;
    std::int64_t next = 0;  // 0: that was all
  };

  CreatedOrders created_orders(std::int64_t before_sequence, std::size_t limit);

  // Checks up to `limit` rows after `from`, which was verified before ({}: from the start).
  struct Verified {
    AuditHead head;                     // of the last good row
    std::optional<std::string> broken;  // a sentence naming the first row that is not
    bool end = false;                   // nothing is behind it
  };

  Verified verify(const AuditHead& from, std::size_t limit);

  AuditHead head();

  // Appends a row that another copy of this database has sealed; for a restore.
  void put_back(const AuditRow& row);

  // Nothing when every hash follows from the row and the hash before it; else a sentence naming the
  // first row that breaks. Rows cut off at the end leave no trace in the chain: compare the last
  // hash with one kept elsewhere.
  std::optional<std::string> why_broken();

 private:
  sql::Connection& connection_;
  Instant now_;
  ArrivalCounter& arrivals_;
  std::vector<UnsealedEvent>* unsealed_;
};

}  // namespace gatehouse::store
