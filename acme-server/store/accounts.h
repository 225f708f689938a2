// Accounts in the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/core/account.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

class Accounts {
 public:
  explicit Accounts(sql::Connection& connection) : connection_(connection) {}

  // The account `id` of `directory`, whatever its status.
  std::optional<Account> of(const DirectoryId& directory, const AccountId& id);
  // Whether the directory has a valid account `id`. Reads one row.
  bool is_valid(const DirectoryId& directory, const AccountId& id);
  std::optional<Account> by_thumbprint(const DirectoryId& directory, std::string_view thumbprint);
  // For jobs only.
  std::optional<Account> get(const AccountId& id);

  // For operators: all accounts, ordered by id, starting after `after`.
  std::vector<Account> list(const std::optional<AccountId>& after, std::size_t limit);

  // False, and nothing done, when the directory has an account with that key already.
  bool insert(const Account& account);
  // Each false when the account is not valid any more.
  bool set_contacts(const DirectoryId& directory, const AccountId& id,
                    const std::vector<std::string>& contacts);
  bool set_terms_agreed(const DirectoryId& directory, const AccountId& id, std::string_view terms);
  bool deactivate(const DirectoryId& directory, const AccountId& id);
  // Compare-and-set: from the key with `old_thumbprint`. False when the account has another key by
  // now, is not valid, or another account of the directory has the new key.
  bool change_key(const DirectoryId& directory, const AccountId& id,
                  std::string_view old_thumbprint, std::string_view new_thumbprint,
                  std::string_view new_jwk, std::string_view new_spki_sha256);

  // How many valid accounts each directory has; a directory without any is not in it.
  std::map<DirectoryId, std::int64_t> count_valid();

  // Whether any account of any directory, of any status, has this key (RFC 8555 section 11.1).
  bool any_has_key(std::string_view spki_sha256);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
