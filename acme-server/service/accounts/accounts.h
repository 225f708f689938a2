// Accounts: find or create, update, deactivate, key rollover (RFC 8555 section 7.3). `client` is
// the address that a request came from, for log and audit trail.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "acme-server/core/account.h"
#include "acme-server/core/principal.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/service/accounts/rate_limits.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

class Accounts {
 public:
  explicit Accounts(Context& context) : context_(context), rates_(context.job_clock) {}

  struct NewAccount {
    std::vector<std::string> contacts = {};
    bool terms_agreed = false;
    bool only_return_existing = false;
    // The address that the request came from, for log and audit trail; the rate of new accounts is
    // each address's. Empty: none.
    std::string client = {};
  };

  struct Found {
    Account account;
    bool created = false;
  };

  // Section 7.3, 7.3.1. An account with that key is returned as it is, whatever the request says; a
  // deactivated one is rejected as unauthorized (401). Rejects: accountDoesNotExist
  // (only_return_existing), userActionRequired (terms), invalidContact, unsupportedContact,
  // badPublicKey (key policy, blocked key, a certificate of ours has this key), rateLimited (too
  // many from this address), serverInternal (503, a full disk).
  Found find_or_create(const DirectoryId& directory, const crypto::Jwk& key,
                       const NewAccount& request);

  // For request authentication: whatever its status.
  std::optional<Account> get(const DirectoryId& directory, const AccountId& id);

  // Section 7.3.2: replaces the contacts. Rejects as above; unauthorized when deactivated
  // meanwhile; rateLimited when the account has been changed too often.
  Account set_contacts(const Account& account, const std::vector<std::string>& contacts);
  // Section 7.3.3: agrees to the terms in force.
  Account agree_to_terms(const Account& account);

  // Section 7.3.6: deactivates, fails the account's orders that have no outcome and are not being
  // issued, deactivates nothing else; certificates stay.
  Account deactivate(const Account& account, const std::string& client = {});

  // The operator's way. Rejects: no such account (404), not valid any more.
  Account deactivate_by_operator(const AccountId& id, const Principal& actor);

  // Section 7.3.5, after the outer and inner JWS were proven: the new key's account changes, or the
  // id of the account that has the key already (409). Rejects with rateLimited as above.
  using KeyChange = std::variant<Account, AccountId>;
  KeyChange change_key(const Account& account, const crypto::Jwk& old_key,
                       const crypto::Jwk& new_key, const std::string& client = {});

 private:
  Account deactivate_as(const Account& account, const Principal& actor, const std::string& client);

  Context& context_;
  RateLimits rates_;
};

// Checks one contact URL (section 7.3: mailto, one address, no hfields). Rejects invalidContact or
// unsupportedContact.
void check_contact(const std::string& contact);

}  // namespace gatehouse::service
