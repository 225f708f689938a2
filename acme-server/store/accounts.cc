#include "acme-server/store/accounts.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/account.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

// The account and its contacts in one statement, since one is read for every request: a row for
// each contact, or one without.
std::optional<Account> account_of(const std::vector<sql::Row>& rows) {
  if (rows.empty()) {
    return std::nullopt;
  }
  const sql::Row& row = rows.front();
  Account account;
  account.id = AccountId(row.text(0));
  account.directory = DirectoryId(row.text(1));
  account.key_thumbprint = row.text(2);
  account.key_jwk = row.text(3);
  account.key_spki_sha256 = row.text(4);
  account.status = known("account status", row.text(5), account_status_from(row.text(5)));
  account.terms_agreed = row.text(6);
  account.created = instant_at(row, 7);
  for (const sql::Row& each : rows) {
    if (const std::optional<std::string> contact = each.optional_text(8)) {
      account.contacts.push_back(*contact);
    }
  }
  return account;
}

void insert_contacts(sql::Connection& connection, const AccountId& id,
                     const std::vector<std::string>& contacts) {
  std::int64_t position = 0;
  for (const std::string& contact : contacts) {
    connection.execute(
        "INSERT INTO account_contacts (account_id, position, contact) VALUES ($1, $2, $3)",
        params(id, position++, contact));
  }
}

}  // namespace

std::optional<Account> Accounts::of(const DirectoryId& directory, const AccountId& id) {
  return account_of(connection_.query(
      "SELECT accounts.id, accounts.directory, accounts.key_thumbprint, accounts.key_jwk, "
      "accounts.key_spki_sha256, accounts.status, accounts.terms_agreed, accounts.created_at, "
      "contacts.contact "
      "FROM accounts LEFT JOIN account_contacts AS contacts ON contacts.account_id = accounts.id "
      "WHERE accounts.id = $1 AND accounts.directory = $2 ORDER BY contacts.position",
      params(id, directory)));
}

bool Accounts::is_valid(const DirectoryId& directory, const AccountId& id) {
  return !connection_
              .query("SELECT 1 FROM accounts WHERE id = $1 AND directory = $2 AND status = $3",
                     params(id, directory, to_string(AccountStatus::valid)))
              .empty();
}

std::optional<Account> Accounts::by_thumbprint(const DirectoryId& directory,
                                               std::string_view thumbprint) {
  return account_of(connection_.query(
      "SELECT accounts.id, accounts.directory, accounts.key_thumbprint, accounts.key_jwk, "
      "accounts.key_spki_sha256, accounts.status, accounts.terms_agreed, accounts.created_at, "
      "contacts.contact "
      "FROM accounts LEFT JOIN account_contacts AS contacts ON contacts.account_id = accounts.id "
      "WHERE accounts.directory = $1 AND accounts.key_thumbprint = $2 ORDER BY contacts.position",
      params(directory, thumbprint)));
}

std::optional<Account> Accounts::get(const AccountId& id) {
  return account_of(connection_.query(
      "SELECT accounts.id, accounts.directory, accounts.key_thumbprint, accounts.key_jwk, "
      "accounts.key_spki_sha256, accounts.status, accounts.terms_agreed, accounts.created_at, "
      "contacts.contact "
      "FROM accounts LEFT JOIN account_contacts AS contacts ON contacts.account_id = accounts.id "
      "WHERE accounts.id = $1 ORDER BY contacts.position",
      params(id)));
}

std::vector<Account> Accounts::list(const std::optional<AccountId>& after, std::size_t limit) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT accounts.id, accounts.directory, accounts.key_thumbprint, accounts.key_jwk, "
      "accounts.key_spki_sha256, accounts.status, accounts.terms_agreed, accounts.created_at, "
      "contacts.contact "
      "FROM accounts LEFT JOIN account_contacts AS contacts ON contacts.account_id = accounts.id "
      "WHERE accounts.id IN (SELECT id FROM accounts WHERE id > $1 ORDER BY id LIMIT $2) "
      "ORDER BY accounts.id, contacts.position",
      params(after.value_or(AccountId()), limit));
  std::vector<Account> accounts;
  for (auto row = rows.begin(); row != rows.end();) {
    const auto end = std::find_if(
        row, rows.end(), [&](const sql::Row& other) { return other.text(0) != row->text(0); });
    accounts.push_back(account_of({row, end}).value());
    row = end;
  }
  return accounts;
}

bool Accounts::insert(const Account& account) {
  const std::int64_t inserted = connection_.execute(
      "INSERT INTO accounts (id, directory, key_thumbprint, key_jwk, key_spki_sha256, status, "
      "terms_agreed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
      "ON CONFLICT (directory, key_thumbprint) DO NOTHING",
      params(account.id, account.directory, account.key_thumbprint, account.key_jwk,
             account.key_spki_sha256, to_string(account.status), account.terms_agreed,
             account.created));
  if (inserted == 0) {
    return false;
  }
  insert_contacts(connection_, account.id, account.contacts);
  return true;
}

bool Accounts::set_contacts(const DirectoryId& directory, const AccountId& id,
                            const std::vector<std::string>& contacts) {
  const std::vector<sql::Row> valid =
      connection_.query("SELECT id FROM accounts WHERE id = $1 AND directory = $2 AND status = $3",
                        params(id, directory, to_string(AccountStatus::valid)));
  if (valid.empty()) {
    return false;
  }
  connection_.execute("DELETE FROM account_contacts WHERE account_id = $1", params(id));
  insert_contacts(connection_, id, contacts);
  return true;
}

bool Accounts::set_terms_agreed(const DirectoryId& directory, const AccountId& id,
                                std::string_view terms) {
  return connection_.execute(
             "UPDATE accounts SET terms_agreed = $1 "
             "WHERE id = $2 AND directory = $3 AND status = $4",
             params(terms, id, directory, to_string(AccountStatus::valid))) == 1;
}

bool Accounts::deactivate(const DirectoryId& directory, const AccountId& id) {
  return connection_.execute(
             "UPDATE accounts SET status = $1 WHERE id = $2 AND directory = $3 AND status = $4",
             params(to_string(AccountStatus::deactivated), id, directory,
                    to_string(AccountStatus::valid))) == 1;
}

bool Accounts::change_key(const DirectoryId& directory, const AccountId& id,
                          std::string_view old_thumbprint, std::string_view new_thumbprint,
                          std::string_view new_jwk, std::string_view new_spki_sha256) {
  return connection_.execute(
             "UPDATE accounts SET key_thumbprint = $1, key_jwk = $2, key_spki_sha256 = $3 "
             "WHERE id = $4 AND directory = $5 AND status = $6 AND key_thumbprint = $7 "
             "AND NOT EXISTS (SELECT 1 FROM accounts AS other "
             "WHERE other.directory = $5 AND other.key_thumbprint = $1)",
             params(new_thumbprint, new_jwk, new_spki_sha256, id, directory,
                    to_string(AccountStatus::valid), old_thumbprint)) == 1;
}

std::map<DirectoryId, std::int64_t> Accounts::count_valid() {
  std::map<DirectoryId, std::int64_t> counts;
  for (const sql::Row& row : connection_.query(
           "SELECT directory, COUNT(*) FROM accounts WHERE status = $1 GROUP BY directory",
           params(to_string(AccountStatus::valid)))) {
    counts.emplace(DirectoryId(row.text(0)), row.integer(1));
  }
  return counts;
}

bool Accounts::any_has_key(std::string_view spki_sha256) {
  return !connection_
              .query("SELECT id FROM accounts WHERE key_spki_sha256 = $1 LIMIT 1",
                     params(spki_sha256))
              .empty();
}

}  // namespace gatehouse::store
