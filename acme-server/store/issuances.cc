#include "acme-server/store/issuances.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

constexpr std::array kStates = {IssuanceState::prepared, IssuanceState::submitted,
                                IssuanceState::issued,   IssuanceState::refused,
                                IssuanceState::in_doubt, IssuanceState::abandoned};

IssuanceState state_from(const std::string& text) {
  for (const IssuanceState state : kStates) {
    if (text == to_string(state)) {
      return state;
    }
  }
  unknown_text("issuance state", text);
}

bool is_final(IssuanceState state) {
  switch (state) {
    case IssuanceState::prepared:
    case IssuanceState::submitted:
    case IssuanceState::in_doubt:
      return false;
    case IssuanceState::issued:
    case IssuanceState::refused:
    case IssuanceState::abandoned:
      return true;
  }
  ACME_CHECK(false);
  return true;
}

Issuance issuance_of(const sql::Row& row) {
  Issuance issuance;
  issuance.id = IssuanceId(row.text(0));
  issuance.order = OrderId(row.text(1));
  issuance.backend = row.text(2);
  issuance.issuer = IssuerId(row.text(3));
  issuance.serial = row.text(4);
  issuance.profile = row.text(5);
  issuance.profile_hash = row.text(6);
  issuance.key_policy_hash = row.text(7);
  issuance.spki_sha256 = row.text(8);
  issuance.request = row.text(9);
  issuance.poll = row.text(10);
  issuance.crl_url = row.text(11);
  issuance.not_before = instant_at(row, 12);
  issuance.not_after = instant_at(row, 13);
  issuance.created = instant_at(row, 14);
  issuance.state = state_from(row.text(15));
  issuance.expected = row.optional_text(16).value_or("");
  return issuance;
}

std::optional<Issuance> first_issuance(const std::vector<sql::Row>& rows) {
  return rows.empty() ? std::nullopt : std::optional(issuance_of(rows.front()));
}

}  // namespace

std::string_view to_string(IssuanceState state) {
  switch (state) {
    case IssuanceState::prepared:
      return "prepared";
    case IssuanceState::submitted:
      return "submitted";
    case IssuanceState::issued:
      return "issued";
    case IssuanceState::refused:
      return "refused";
    case IssuanceState::in_doubt:
      return "in_doubt";
    case IssuanceState::abandoned:
      return "abandoned";
  }
  ACME_CHECK(false);
  return {};
}

void Issuances::insert(const Issuance& issuance) {
  connection_.execute(
      "INSERT INTO issuances (id, order_id, backend, issuer, serial, profile, profile_hash, "
      "key_policy_hash, spki_sha256, request, poll, crl_url, not_before, not_after, created_at, "
      "state, expected) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
      params(issuance.id, issuance.order, issuance.backend, issuance.issuer, issuance.serial,
             issuance.profile, issuance.profile_hash, issuance.key_policy_hash,
             issuance.spki_sha256, issuance.request, issuance.poll, issuance.crl_url,
             issuance.not_before, issuance.not_after, issuance.created, to_string(issuance.state),
             issuance.expected));
}

std::optional<Issuance> Issuances::get(const IssuanceId& id) {
  return first_issuance(connection_.query(
      "SELECT id, order_id, backend, issuer, serial, profile, profile_hash, key_policy_hash, "
      "spki_sha256, request, poll, crl_url, not_before, not_after, created_at, state, expected "
      "FROM issuances WHERE id = $1",
      params(id)));
}

std::optional<Issuance> Issuances::current(const OrderId& order) {
  return first_issuance(connection_.query(
      "SELECT id, order_id, backend, issuer, serial, profile, profile_hash, key_policy_hash, "
      "spki_sha256, request, poll, crl_url, not_before, not_after, created_at, state, expected "
      "FROM issuances WHERE order_id = $1 AND state <> 'abandoned'",
      params(order)));
}

std::vector<Issuance> Issuances::all_of(const OrderId& order) {
  std::vector<Issuance> issuances;
  for (const sql::Row& row : connection_.query(
           "SELECT id, order_id, backend, issuer, serial, profile, profile_hash, "
           "key_policy_hash, spki_sha256, request, poll, crl_url, not_before, not_after, "
           "created_at, state, expected FROM issuances WHERE order_id = $1 ORDER BY created_at, id",
           params(order))) {
    issuances.push_back(issuance_of(row));
  }
  return issuances;
}

bool Issuances::move(const IssuanceId& id, IssuanceState from, IssuanceState to) {
  ACME_CHECK(!is_final(from));
  return connection_.execute("UPDATE issuances SET state = $1 WHERE id = $2 AND state = $3",
                             params(to_string(to), id, to_string(from))) == 1;
}

std::int64_t Issuances::move_all(std::string_view backend, IssuanceState from, IssuanceState to) {
  ACME_CHECK(!is_final(from));
  return connection_.execute("UPDATE issuances SET state = $1 WHERE backend = $2 AND state = $3",
                             params(to_string(to), backend, to_string(from)));
}

bool Issuances::set_poll(const IssuanceId& id, std::string_view poll) {
  return connection_.execute("UPDATE issuances SET poll = $1 WHERE id = $2 AND state = 'submitted'",
                             params(poll, id)) == 1;
}

std::vector<OrderId> Issuances::undecided(const std::optional<OrderId>& after, std::size_t limit) {
  // Ids of rows ascend with the time.
  static constexpr std::string_view kSql =
      "SELECT order_id FROM issuances WHERE state = 'submitted' AND poll <> '' "
      "AND ($1 = '' OR order_id < $1) ORDER BY order_id DESC LIMIT $2";
  std::vector<OrderId> orders;
  for (const sql::Row& row : connection_.query(
           kSql, params(after ? after->str() : "", static_cast<std::int64_t>(limit)))) {
    orders.emplace_back(row.text(0));
  }
  return orders;
}

std::int64_t Issuances::count(IssuanceState state) {
  return connection_
      .query("SELECT COUNT(*) FROM issuances WHERE state = $1", params(to_string(state)))
      .front()
      .integer(0);
}

bool Issuances::any_has_key(std::string_view spki_sha256) {
  return !connection_
              .query(
                  "SELECT id FROM issuances WHERE spki_sha256 = $1 "
                  "AND state NOT IN ('abandoned', 'refused') LIMIT 1",
                  params(spki_sha256))
              .empty();
}

}  // namespace gatehouse::store
