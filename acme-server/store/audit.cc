#include "acme-server/store/audit.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/json.h"
#include "acme-server/base/json_text.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

// How many rows are in memory while the chain is checked.
constexpr std::size_t kVerifyPage = 1000;
// How many events one read of a search looks at.
constexpr std::int64_t kListSlice = 20'000;

// A row as the table has it. The details are not parsed: the text itself is hashed.
struct StoredRow {
  UnsealedEvent event;
  std::int64_t sequence = 0;
  std::string hash;
};

StoredRow stored_row(const sql::Row& row) {
  return StoredRow{.event = {.id = row.integer(0),
                             .happened_at = row.integer(2),
                             .kind = row.text(3),
                             .actor = row.text(4),
                             .directory = row.optional_text(5),
                             .account = row.optional_text(6),
                             .order = row.optional_text(7),
                             .authorization = row.optional_text(8),
                             .certificate = row.optional_text(9),
                             .details = row.text(10)},
                   .sequence = row.optional_integer(1).value_or(0),
                   .hash = row.optional_text(11).value_or("")};
}

template <class Id>
std::optional<Id> id_from(const std::optional<std::string>& text) {
  return text ? std::optional(Id(*text)) : std::nullopt;
}

AuditRow audit_row(const sql::Row& row) {
  const StoredRow stored = stored_row(row);
  const UnsealedEvent& event = stored.event;
  return AuditRow{.sequence = stored.sequence,
                  .at = from_unix(event.happened_at),
                  .event = {.kind = event.kind,
                            .actor = parse_principal(event.actor),
                            .directory = id_from<DirectoryId>(event.directory),
                            .account = id_from<AccountId>(event.account),
                            .order = id_from<OrderId>(event.order),
                            .authorization = id_from<AuthorizationId>(event.authorization),
                            .certificate = id_from<CertificateId>(event.certificate),
                            .details = parse_json(event.details)},
                  .hash = stored.hash};
}

void append_text(std::string& out, const std::optional<std::string>& text) {
  out += ',';
  if (text) {
    append_json_string(out, *text);
  } else {
    out += "null";
  }
}

// SHA-256 over the previous hash and the row as one JSON array, with a place for each column, so
// that no two rows print alike. Never change it: the sealed rows of every database were hashed so.
std::string hash_of(const std::string& previous, std::int64_t sequence, const UnsealedEvent& row) {
  std::string canonical = "[";
  append_json_string(canonical, previous);
  canonical += ',' + std::to_string(sequence) + ',' + std::to_string(row.happened_at);
  append_text(canonical, row.kind);
  append_text(canonical, row.actor);
  append_text(canonical, row.directory);
  append_text(canonical, row.account);
  append_text(canonical, row.order);
  append_text(canonical, row.authorization);
  append_text(canonical, row.certificate);
  append_text(canonical, row.details);
  canonical += ']';
  return crypto::sha256_hex(as_bytes(canonical));
}

template <class Id>
std::optional<std::string> text_of(const std::optional<Id>& id) {
  return id ? std::optional(id->str()) : std::nullopt;
}

UnsealedEvent unsealed(std::int64_t id, Instant at, const AuditEvent& event) {
  return {.id = id,
          .happened_at = to_unix(at),
          .kind = event.kind,
          .actor = to_string(event.actor),
          .directory = text_of(event.directory),
          .account = text_of(event.account),
          .order = text_of(event.order),
          .authorization = text_of(event.authorization),
          .certificate = text_of(event.certificate),
          .details = print_json(event.details)};
}

void insert_row(sql::Connection& connection, const UnsealedEvent& event, std::int64_t sequence,
                const std::string& hash) {
  connection.execute(
      "INSERT INTO audit_events (id, sequence, happened_at, kind, actor, directory, account_id, "
      "order_id, authorization_id, certificate_id, details, hash) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
      params(event.id, sequence, event.happened_at, event.kind, event.actor, event.directory,
             event.account, event.order, event.authorization, event.certificate, event.details,
             hash));
}

}  // namespace

std::string chained_hash(const std::string& previous, const AuditRow& row) {
  return hash_of(previous, row.sequence, unsealed(0, row.at, row.event));
}

Json json_of(const AuditRow& row) {
  const auto text = [](const auto& id) { return id ? Json(id->str()) : Json(nullptr); };
  return {{"sequence", row.sequence},
          {"at", to_rfc3339(row.at)},
          {"kind", row.event.kind},
          {"actor", to_string(row.event.actor)},
          {"directory", text(row.event.directory)},
          {"account", text(row.event.account)},
          {"order", text(row.event.order)},
          {"authorization", text(row.event.authorization)},
          {"certificate", text(row.event.certificate)},
          {"details", row.event.details},
          {"hash", row.hash}};
}

AuditRow audit_row_of(const Json& line) {
  const JsonObject object(line);
  const auto at = from_rfc3339(object.string("at"));
  const auto sequence =
      object.optional_integer("sequence", 1, std::numeric_limits<std::int64_t>::max());
  if (!at || !sequence) {
    throw JsonError("it needs a sequence and an RFC 3339 time");
  }
  return AuditRow{
      .sequence = *sequence,
      .at = *at,
      .event = {.kind = object.string("kind"),
                .actor = parse_principal(object.string("actor")),
                .directory = id_from<DirectoryId>(object.optional_string("directory")),
                .account = id_from<AccountId>(object.optional_string("account")),
                .order = id_from<OrderId>(object.optional_string("order")),
                .authorization = id_from<AuthorizationId>(object.optional_string("authorization")),
                .certificate = id_from<CertificateId>(object.optional_string("certificate")),
                .details = object.object("details").json()},
      .hash = object.string("hash", 64)};
}

void Audit::put_back(const AuditRow& row) {
  insert_row(connection_, unsealed(arrivals_.fetch_add(1), row.at, row.event), row.sequence,
             row.hash);
}

void Audit::append(const AuditEvent& event) {
  ACME_CHECK(unsealed_ != nullptr);
  ACME_CHECK(!std::holds_alternative<UnknownPrincipal>(event.actor));
  unsealed_->push_back(unsealed(arrivals_.fetch_add(1), now_, event));
}

void Audit::seal(const std::vector<UnsealedEvent>& events) {
  if (events.empty()) {
    return;
  }
  auto [sequence, hash] = head();
  for (const UnsealedEvent& event : events) {
    ++sequence;
    hash = hash_of(hash, sequence, event);
    insert_row(connection_, event, sequence, hash);
  }
}

AuditHead Audit::head() {
  const std::vector<sql::Row> last = connection_.query(
      "SELECT sequence, hash FROM audit_events WHERE sequence IS NOT NULL "
      "ORDER BY sequence DESC LIMIT 1",
      {});
  if (last.empty()) {
    return {};
  }
  return {.sequence = last.front().integer(0), .hash = last.front().text(1)};
}

std::vector<AuditRow> Audit::of_order(const OrderId& order) {
  std::vector<AuditRow> rows;
  for (const sql::Row& row : connection_.query(
           "SELECT id, sequence, happened_at, kind, actor, directory, account_id, order_id, "
           "authorization_id, certificate_id, details, hash "
           "FROM audit_events WHERE order_id = $1 ORDER BY id",
           params(order))) {
    rows.push_back(audit_row(row));
  }
  return rows;
}

std::vector<AuditRow> Audit::list(std::int64_t after_sequence, std::size_t limit) {
  std::vector<AuditRow> rows;
  for (const sql::Row& row : connection_.query(
           "SELECT id, sequence, happened_at, kind, actor, directory, account_id, order_id, "
           "authorization_id, certificate_id, details, hash "
           "FROM audit_events WHERE sequence > $1 ORDER BY sequence LIMIT $2",
           params(after_sequence, limit))) {
    rows.push_back(audit_row(row));
  }
  return rows;
}

AuditPage Audit::search(const AuditFilter& filter, std::int64_t after_sequence, std::size_t limit) {
  const std::int64_t last = head().sequence;
  const std::int64_t end = std::min(last, after_sequence + kListSlice);
  AuditPage page;
  for (const sql::Row& row : connection_.query(
           "SELECT id, sequence, happened_at, kind, actor, directory, account_id, order_id, "
           "authorization_id, certificate_id, details, hash "
           "FROM audit_events WHERE sequence > $1 AND sequence <= $2 "
           "AND ($3 = '' OR account_id = $3) AND ($4 = '' OR order_id = $4) "
           "AND ($5 = '' OR certificate_id = $5) AND ($6 = '' OR kind = $6) "
           "AND ($7 = '' OR actor = $7) AND happened_at >= $8 ORDER BY sequence LIMIT $9",
           params(after_sequence, end, filter.account, filter.order, filter.certificate,
                  filter.kind, filter.actor,
                  filter.since ? to_unix(*filter.since) : std::numeric_limits<std::int64_t>::min(),
                  limit))) {
    page.rows.push_back(audit_row(row));
  }
  if (page.rows.size() == limit) {
    page.next = page.rows.back().sequence;
  } else if (end < last) {
    page.next = end;
  }
  return page;
}

Audit::CreatedOrders Audit::created_orders(std::int64_t before_sequence, std::size_t limit) {
  before_sequence = std::min(before_sequence, head().sequence + 1);
  const std::int64_t from = std::max<std::int64_t>(1, before_sequence - kListSlice);
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT sequence, order_id FROM audit_events WHERE sequence < $1 AND sequence >= $2 "
      "AND kind = 'order.created' AND order_id IS NOT NULL ORDER BY sequence DESC LIMIT $3",
      params(before_sequence, from, limit));
  CreatedOrders created;
  for (const sql::Row& row : rows) {
    created.orders.emplace_back(row.text(1));
  }
  if (rows.size() == limit) {
    created.next = rows.back().integer(0);
  } else if (from > 1) {
    created.next = from;
  }
  return created;
}

Audit::Verified Audit::verify(const AuditHead& from, std::size_t limit) {
  Verified verified{.head = from, .broken = {}, .end = false};
  const std::vector<sql::Row> page = connection_.query(
      "SELECT id, sequence, happened_at, kind, actor, directory, account_id, order_id, "
      "authorization_id, certificate_id, details, hash "
      "FROM audit_events WHERE sequence > $1 ORDER BY sequence LIMIT $2",
      params(from.sequence, limit));
  for (const sql::Row& row : page) {
    const StoredRow stored = stored_row(row);
    const std::int64_t sequence = verified.head.sequence + 1;
    if (stored.sequence != sequence) {
      verified.broken = "audit event " + std::to_string(sequence) + " is missing";
      return verified;
    }
    std::string hash = hash_of(verified.head.hash, sequence, stored.event);
    if (stored.hash != hash) {
      verified.broken = "audit event " + std::to_string(sequence) + " (" + stored.event.kind +
                        ") does not match its hash: it, or an event before it, was changed";
      return verified;
    }
    verified.head = {.sequence = sequence, .hash = std::move(hash)};
  }
  verified.end = page.size() < limit;
  return verified;
}

std::optional<std::string> Audit::why_broken() {
  Verified verified;
  while (!verified.end && !verified.broken) {
    verified = verify(verified.head, kVerifyPage);
  }
  return verified.broken;
}

}  // namespace gatehouse::store
