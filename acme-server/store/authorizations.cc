#include "acme-server/store/authorizations.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

Challenge challenge_of(const sql::Row& row) {
  Challenge challenge;
  challenge.id = ChallengeId(row.text(0));
  challenge.type = row.text(1);
  challenge.token = row.text(2);
  challenge.status = known("challenge status", row.text(3), challenge_status_from(row.text(3)));
  challenge.validated = optional_instant_at(row, 4);
  challenge.error = optional_problem_at(row, 5);
  challenge.attempts = static_cast<int>(row.integer(6));
  challenge.next_attempt = optional_instant_at(row, 7);
  return challenge;
}

Authorization authorization_of(sql::Connection& connection, const sql::Row& row) {
  Authorization authorization;
  authorization.id = AuthorizationId(row.text(0));
  authorization.directory = DirectoryId(row.text(1));
  authorization.account = AccountId(row.text(2));
  authorization.identifier = identifier_at(row, 3);
  if (row.integer(5) != 0) authorization.identifier = authorization.identifier.wildcard();
  authorization.profile = row.text(6);
  authorization.status =
      known("authorization status", row.text(7), authorization_status_from(row.text(7)));
  authorization.expires = instant_at(row, 8);
  authorization.created = instant_at(row, 9);
  authorization.caa_checked = optional_instant_at(row, 10);
  for (const sql::Row& challenge : connection.query(
           "SELECT id, type, token, status, validated_at, error, attempts, next_attempt_at "
           "FROM challenges WHERE authorization_id = $1 ORDER BY position",
           params(authorization.id))) {
    authorization.challenges.push_back(challenge_of(challenge));
  }
  return authorization;
}

std::optional<Authorization> first_authorization(sql::Connection& connection,
                                                 const std::vector<sql::Row>& rows) {
  return rows.empty() ? std::nullopt : std::optional(authorization_of(connection, rows.front()));
}

// As the store gives them back: a problem keeps only what its document says.
bool same_in_store(const Challenge& a, const Challenge& b) {
  Challenge other = b;
  other.error = a.error;
  return a == other && problem_text(a.error) == problem_text(b.error);
}

bool same_in_store(const Authorization& a, const Authorization& b) {
  Authorization other = b;
  other.challenges = a.challenges;
  return a == other &&
         std::ranges::equal(a.challenges, b.challenges, [](const Challenge& x, const Challenge& y) {
           return same_in_store(x, y);
         });
}

// Transitions change a status, what goes with it, and nothing else (core/authorization.h).
bool is_transition(const Authorization& before, const Authorization& after) {
  Authorization same = before;
  same.status = after.status;
  same.expires = after.expires;
  same.caa_checked = after.caa_checked;
  same.challenges = after.challenges;
  return same == after && std::ranges::equal(before.challenges, after.challenges,
                                             [](const Challenge& x, const Challenge& y) {
                                               return x.id == y.id && x.type == y.type &&
                                                      x.token == y.token;
                                             });
}

void update_challenge(sql::Connection& connection, const Challenge& challenge) {
  connection.execute(
      "UPDATE challenges SET status = $1, validated_at = $2, error = $3, attempts = $4, "
      "next_attempt_at = $5 WHERE id = $6",
      params(to_string(challenge.status), challenge.validated, problem_text(challenge.error),
             challenge.attempts, challenge.next_attempt, challenge.id));
}

}  // namespace

void Authorizations::insert(const Authorization& authorization) {
  ACME_CHECK(authorization.status != AuthorizationStatus::expired);  // derived, never stored
  const Identifier base = authorization.identifier.base();
  connection_.execute(
      "INSERT INTO authorizations (id, directory, account_id, identifier_type, identifier_value, "
      "wildcard, profile, status, expires_at, created_at, caa_checked_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      params(authorization.id, authorization.directory, authorization.account, to_string(base.type),
             base.value, authorization.identifier.is_wildcard(), authorization.profile,
             to_string(authorization.status), authorization.expires, authorization.created,
             authorization.caa_checked));
  std::int64_t position = 0;
  for (const Challenge& challenge : authorization.challenges) {
    connection_.execute(
        "INSERT INTO challenges (id, authorization_id, position, type, token, status, "
        "validated_at, error, attempts, next_attempt_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params(challenge.id, authorization.id, position++, challenge.type, challenge.token,
               to_string(challenge.status), challenge.validated, problem_text(challenge.error),
               challenge.attempts, challenge.next_attempt));
  }
}

std::optional<Authorization> Authorizations::of(const AccountId& account,
                                                const AuthorizationId& id) {
  return first_authorization(
      connection_,
      connection_.query(
          "SELECT id, directory, account_id, identifier_type, "
          "identifier_value, wildcard, profile, status, expires_at, "
          "created_at, caa_checked_at FROM authorizations WHERE id = $1 AND account_id = $2",
          params(id, account)));
}

std::optional<Authorization> Authorizations::of_challenge(const AccountId& account,
                                                          const ChallengeId& id) {
  return first_authorization(
      connection_,
      connection_.query(
          "SELECT id, directory, account_id, identifier_type, "
          "identifier_value, wildcard, profile, status, expires_at, "
          "created_at, caa_checked_at FROM authorizations WHERE account_id = $2 AND id = "
          "(SELECT authorization_id FROM challenges WHERE id = $1)",
          params(id, account)));
}

std::optional<Authorization> Authorizations::get(const AuthorizationId& id) {
  return first_authorization(
      connection_, connection_.query("SELECT id, directory, account_id, identifier_type, "
                                     "identifier_value, wildcard, profile, status, expires_at, "
                                     "created_at, caa_checked_at FROM authorizations WHERE id = $1",
                                     params(id)));
}

std::optional<Authorization> Authorizations::with_challenge(const ChallengeId& id) {
  return first_authorization(
      connection_, connection_.query("SELECT id, directory, account_id, identifier_type, "
                                     "identifier_value, wildcard, profile, status, expires_at, "
                                     "created_at, caa_checked_at FROM authorizations WHERE id = "
                                     "(SELECT authorization_id FROM challenges WHERE id = $1)",
                                     params(id)));
}

std::vector<Authorization> Authorizations::of_order(const OrderId& order) {
  std::vector<Authorization> authorizations;
  for (const sql::Row& row : connection_.query(
           "SELECT held.id, held.directory, held.account_id, held.identifier_type, "
           "held.identifier_value, held.wildcard, held.profile, held.status, held.expires_at, "
           "held.created_at, held.caa_checked_at FROM order_authorizations AS tie "
           "JOIN authorizations AS held ON held.id = tie.authorization_id "
           "WHERE tie.order_id = $1 ORDER BY tie.position",
           params(order))) {
    authorizations.push_back(authorization_of(connection_, row));
  }
  return authorizations;
}

// Ids of orders begin with the time at which they were made.
std::optional<OrderId> Authorizations::first_order_of(const AuthorizationId& id) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT order_id FROM order_authorizations WHERE authorization_id = $1 "
      "ORDER BY order_id LIMIT 1",
      params(id));
  if (rows.empty()) return std::nullopt;
  return OrderId(rows.front().text(0));
}

std::optional<Authorization> Authorizations::reusable(const AccountId& account,
                                                      const Identifier& identifier,
                                                      const std::string& profile, Instant until) {
  const Identifier base = identifier.base();
  return first_authorization(
      connection_,
      connection_.query(
          "SELECT id, directory, account_id, identifier_type, identifier_value, "
          "wildcard, profile, status, expires_at, created_at, caa_checked_at FROM authorizations "
          "WHERE account_id = $1 AND identifier_type = $2 AND identifier_value = $3 "
          "AND wildcard = $4 AND profile = $5 AND status = $6 AND expires_at >= $7 "
          "ORDER BY expires_at DESC, id LIMIT 1",
          params(account, to_string(base.type), base.value, identifier.is_wildcard(), profile,
                 to_string(AuthorizationStatus::valid), until)));
}

bool Authorizations::has_valid(const AccountId& account, const Identifier& identifier,
                               Instant now) {
  const Identifier base = identifier.base();
  return !connection_
              .query(
                  "SELECT id FROM authorizations WHERE account_id = $1 "
                  "AND identifier_type = $2 AND identifier_value = $3 AND wildcard = $4 "
                  "AND status = $5 AND expires_at > $6 LIMIT 1",
                  params(account, to_string(base.type), base.value, identifier.is_wildcard(),
                         to_string(AuthorizationStatus::valid), now))
              .empty();
}

bool Authorizations::update(const Authorization& before, const Authorization& after) {
  ACME_CHECK(is_transition(before, after));
  ACME_CHECK(after.status != AuthorizationStatus::expired);
  const std::optional<Authorization> stored = get(before.id);
  if (!stored || !same_in_store(*stored, before)) {
    return false;
  }
  if (before.status != after.status || before.expires != after.expires ||
      before.caa_checked != after.caa_checked) {
    connection_.execute(
        "UPDATE authorizations SET status = $1, expires_at = $2, caa_checked_at = $3 WHERE id = $4",
        params(to_string(after.status), after.expires, after.caa_checked, after.id));
  }
  if (before.status != after.status && after.status != AuthorizationStatus::pending &&
      after.status != AuthorizationStatus::valid) {
    // No order that waits for it can become ready any more (see Orders::count_open).
    connection_.execute(
        "UPDATE orders SET lost = 1 WHERE finalized_at IS NULL AND id IN "
        "(SELECT order_id FROM order_authorizations WHERE authorization_id = $1)",
        params(after.id));
  }
  for (std::size_t i = 0; i < after.challenges.size(); ++i) {
    if (!same_in_store(before.challenges[i], after.challenges[i])) {
      update_challenge(connection_, after.challenges[i]);
    }
  }
  return true;
}

// 'pending' stands in the text for its index's sake.
std::int64_t Authorizations::count_processing(const AccountId& account, Instant now) {
  return connection_
      .query(
          "SELECT COUNT(*) FROM authorizations AS held "
          "JOIN challenges AS challenge ON challenge.authorization_id = held.id "
          "WHERE held.account_id = $1 AND held.status = 'pending' AND held.expires_at > $2 "
          "AND challenge.status = $3",
          params(account, now, to_string(ChallengeStatus::processing)))
      .front()
      .integer(0);
}

std::int64_t Authorizations::count_pending(const AccountId& account, Instant now) {
  return connection_
      .query(
          "SELECT COUNT(*) FROM authorizations WHERE account_id = $1 AND status = 'pending' "
          "AND expires_at > $2",
          params(account, now))
      .front()
      .integer(0);
}

}  // namespace gatehouse::store
