#include "acme-server/service/accounts/accounts.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/crash_point.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/text.h"
#include "acme-server/core/account.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/wire_names.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/key_policy.h"
#include "acme-server/service/accounts/account_checks.h"
#include "acme-server/service/accounts/rate_limits.h"
#include "acme-server/service/events.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/store/audit.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {
namespace {

// RFC 5321 section 4.5.3.1.3 allows a path of 256 octets with its angle brackets.
constexpr std::size_t kMaxAddress = 254;

// How much of a client's text is shown back in a problem.
constexpr std::size_t kContactSample = 64;

[[noreturn]] void reject_contact(const std::string& contact, std::string_view why) {
  reject(ProblemType::invalidContact,
         "The contact \"" + sanitize(contact, kContactSample) + "\" " + std::string(why) + ".");
}

// RFC 5322 atext and dots. "%" is left out: in a mailto URL it begins an escape, and an escape
// could hide anything.
bool is_local_part(std::string_view text) {
  constexpr std::string_view kSpecials = "!$&'*+-/=^_`{|}~.";
  return !text.empty() && text.front() != '.' && text.back() != '.' &&
         text.find("..") == std::string_view::npos && std::ranges::all_of(text, [&](char c) {
           return is_alphanumeric(c) || kSpecials.find(c) != std::string_view::npos;
         });
}

void check_contacts(const std::vector<std::string>& contacts, std::size_t limit) {
  if (contacts.size() > limit) {
    reject(ProblemType::invalidContact, "An account has at most " + std::to_string(limit) +
                                            " contacts; " + std::to_string(contacts.size()) +
                                            " were given.");
  }
  for (const std::string& contact : contacts) {
    check_contact(contact);
  }
}

// What must hold for a key to become an account's, in the transaction that makes it so. Blocked
// keys and the keys of certificates are looked up server-wide; the answer does not say where one
// was found.
void check_key_is_free(store::Tx& tx, const std::string& spki_sha256) {
  if (tx.blocked_keys().contains(spki_sha256)) {
    reject(ProblemType::badPublicKey, "This key is blocked; make a new one.");
  }
  // RFC 8555 section 11.1: an account key is not used for anything else.
  if (tx.issuances().any_has_key(spki_sha256)) {
    reject(ProblemType::badPublicKey,
           "This key is a certificate's; make a key for the account alone.");
  }
}

void check_key_policy(const crypto::Jwk& key, const crypto::KeyPolicy& policy) {
  if (const std::optional<std::string> why = crypto::why_refused(key, policy)) {
    reject(ProblemType::badPublicKey, *why);
  }
}

// Fails the account's orders that nobody is asked to sign for any more. Those whose intent is
// submitted complete: their certificates may exist.
std::size_t fail_open_orders(store::Tx& tx, const AccountId& account) {
  const Problem problem{.type = ProblemType::unauthorized,
                        .detail = "The account was deactivated before the certificate was issued.",
                        .status = 403};
  std::size_t failed = 0;
  for (const OrderId& id : tx.orders().without_outcome(account)) {
    const std::optional<store::Issuance> issuance = tx.issuances().current(id);
    if (issuance && issuance->state != store::IssuanceState::prepared) {
      continue;
    }
    if (issuance && !tx.issuances().move(issuance->id, store::IssuanceState::prepared,
                                         store::IssuanceState::abandoned)) {
      continue;
    }
    if (tx.orders().fail(id, problem)) {
      tx.audit().append(order_failed_event(tx.orders().get(id).value(), problem));
      ++failed;
    }
  }
  return failed;
}

}  // namespace

void check_contact(const std::string& contact) {
  const std::size_t colon = contact.find(':');
  if (colon == std::string::npos || colon == 0) {
    reject_contact(contact, "is no URL; write it as mailto:name@example.org");
  }
  if (!equals_ignoring_case(contact.substr(0, colon), "mailto")) {
    // RFC 8555 section 7.3: "If the server rejects a contact URL using an unsupported scheme, it
    // MUST return "unsupportedContact", along with a description [...] of what types of contacts
    // the server will accept".
    reject(ProblemType::unsupportedContact,
           "The contact \"" + sanitize(contact, kContactSample) +
               "\" is of an unsupported kind; only mailto: is accepted.");
  }
  const std::string_view address = std::string_view(contact).substr(colon + 1);
  // Section 7.3: "Clients MUST NOT provide a "mailto" URL in the "contact" field that contains
  // "hfields" or more than one "addr-spec" in the "to" component."
  if (address.find('?') != std::string_view::npos || address.find('#') != std::string_view::npos) {
    reject_contact(contact, "has header fields or a fragment; give the address alone");
  }
  if (address.find(',') != std::string_view::npos) {
    reject_contact(contact, "has more than one address; give each as a contact of its own");
  }
  if (address.size() > kMaxAddress) {
    reject_contact(contact, "is longer than an e-mail address can be");
  }
  const std::size_t at = address.find('@');
  if (at == std::string_view::npos || !is_local_part(address.substr(0, at))) {
    reject_contact(contact, "has no e-mail address of the form name@example.org");
  }
  const std::string_view domain = address.substr(at + 1);
  if (domain.starts_with('*') || !dns_identifier(domain)) {
    reject_contact(contact, "has no domain that mail could be sent to");
  }
}

Accounts::Found Accounts::find_or_create(const DirectoryId& directory, const crypto::Jwk& key,
                                         const NewAccount& request) {
  const std::string thumbprint = crypto::thumbprint(key);
  const auto usable = [](Account account) {
    if (account.status != AccountStatus::valid) {
      reject_not_valid(account.id);
    }
    return Found{.account = std::move(account), .created = false};
  };
  // RFC 8555 section 7.3.1: an account with this key is the answer, whatever the request says.
  std::optional<Account> existing = context_.store.read(
      [&](store::Tx& tx) { return tx.accounts().by_thumbprint(directory, thumbprint); });
  if (existing) {
    return usable(std::move(*existing));
  }
  if (request.only_return_existing) {
    reject(ProblemType::accountDoesNotExist,
           "There is no account with this key in this directory.");
  }

  const std::shared_ptr<const Directory> rules = context_.policy.directory(directory);
  check_key_policy(key, rules->account_keys);
  check_contacts(request.contacts, rules->max_contacts);
  if (!rules->terms_of_service.empty() && !request.terms_agreed) {
    reject({.type = ProblemType::userActionRequired,
            .detail = "Agree to the terms of service at " + rules->terms_of_service +
                      " and set termsOfServiceAgreed.",
            .instance = rules->terms_of_service});
  }
  context_.stops.check_has_room();
  rates_.take(LimitedAction::new_account, client_key(request.client), rules->max_new_accounts);

  Account account{.id = AccountId(random_row_id(context_.entropy, context_.clock.now())),
                  .directory = directory,
                  .key_thumbprint = thumbprint,
                  .key_jwk = crypto::canonical_json(key),
                  .key_spki_sha256 = crypto::spki_sha256(key),
                  .contacts = request.contacts,
                  .status = AccountStatus::valid,
                  .terms_agreed = request.terms_agreed ? rules->terms_of_service : "",
                  .created = {}};
  Found found = context_.store.write([&](store::Tx& tx) {
    check_key_is_free(tx, account.key_spki_sha256);
    account.created = tx.now();
    if (!tx.accounts().insert(account)) {
      // Another request with the same key was faster.
      return usable(tx.accounts().by_thumbprint(directory, thumbprint).value());
    }
    store::AuditEvent event = event_of("account.created", account);
    event.details["thumbprint"] = thumbprint;
    event.details["contacts"] = account.contacts;
    event.details["terms_agreed"] = account.terms_agreed;
    event.details["client"] = request.client;
    tx.audit().append(event);
    crash_point("account.creating");
    return Found{.account = account, .created = true};
  });
  crash_point("account.created");
  if (found.created) {
    context_.log.info("account.created", {{"account", found.account.id},
                                          {"directory", directory},
                                          {"contacts", join(found.account.contacts, ", ")},
                                          {"client", request.client}});
  }
  return found;
}

std::optional<Account> Accounts::get(const DirectoryId& directory, const AccountId& id) {
  return context_.store.read([&](store::Tx& tx) { return tx.accounts().of(directory, id); });
}

Account Accounts::set_contacts(const Account& account, const std::vector<std::string>& contacts) {
  const std::shared_ptr<const Directory> rules = context_.policy.directory(account.directory);
  check_contacts(contacts, rules->max_contacts);
  context_.stops.check_has_room();
  rates_.take(LimitedAction::account_change, account.id.str(), rules->max_account_changes);
  Account changed = context_.store.write([&](store::Tx& tx) {
    if (!tx.accounts().set_contacts(account.directory, account.id, contacts)) {
      reject_not_valid(account.id);
    }
    store::AuditEvent event = event_of("account.contacts_changed", account);
    event.details["contacts"] = contacts;
    tx.audit().append(event);
    return tx.accounts().of(account.directory, account.id).value();
  });
  context_.log.info("account.contacts_changed", {{"account", account.id}});
  return changed;
}

Account Accounts::agree_to_terms(const Account& account) {
  const std::shared_ptr<const Directory> rules = context_.policy.directory(account.directory);
  const std::string& terms = rules->terms_of_service;
  context_.stops.check_has_room();
  rates_.take(LimitedAction::account_change, account.id.str(), rules->max_account_changes);
  Account changed = context_.store.write([&](store::Tx& tx) {
    if (!tx.accounts().set_terms_agreed(account.directory, account.id, terms)) {
      reject_not_valid(account.id);
    }
    store::AuditEvent event = event_of("account.terms_agreed", account);
    event.details["terms"] = terms;
    tx.audit().append(event);
    return tx.accounts().of(account.directory, account.id).value();
  });
  context_.log.info("account.terms_agreed", {{"account", account.id}});
  return changed;
}

Account Accounts::deactivate(const Account& account, const std::string& client) {
  return deactivate_as(account, account.id, client);
}

Account Accounts::deactivate_by_operator(const AccountId& id, const Principal& actor) {
  const std::optional<Account> account =
      context_.store.read([&](store::Tx& tx) { return tx.accounts().get(id); });
  if (!account) {
    reject({.type = ProblemType::accountDoesNotExist,
            .detail = "There is no account " + sanitize(id.str(), kContactSample) +
                      "; `gatehouse account list` shows those that there are.",
            .status = 404});
  }
  if (account->status != AccountStatus::valid) {
    reject({.type = ProblemType::malformed,
            .detail = "The account " + id.str() + " is " + std::string(to_string(account->status)) +
                      " already.",
            .status = 409});
  }
  return deactivate_as(*account, actor, "");
}

Account Accounts::deactivate_as(const Account& account, const Principal& actor,
                                const std::string& client) {
  std::size_t failed = 0;
  Account changed = context_.store.write([&](store::Tx& tx) {
    if (!tx.accounts().deactivate(account.directory, account.id)) {
      reject_not_valid(account.id);
    }
    failed = fail_open_orders(tx, account.id);
    store::AuditEvent event = event_of("account.deactivated", account);
    event.actor = actor;
    event.details["orders_failed"] = failed;
    event.details["client"] = client;
    tx.audit().append(event);
    crash_point("account.deactivating");
    return tx.accounts().of(account.directory, account.id).value();
  });
  crash_point("account.deactivated");
  context_.log.info("account.deactivated", {{"account", account.id},
                                            {"by", to_string(actor)},
                                            {"client", client},
                                            {"orders_failed", failed}});
  return changed;
}

Accounts::KeyChange Accounts::change_key(const Account& account, const crypto::Jwk& old_key,
                                         const crypto::Jwk& new_key, const std::string& client) {
  const std::shared_ptr<const Directory> rules = context_.policy.directory(account.directory);
  check_key_policy(new_key, rules->account_keys);
  rates_.take(LimitedAction::key_change, account.id.str(), rules->max_account_changes);
  const std::string old_thumbprint = crypto::thumbprint(old_key);
  const std::string new_thumbprint = crypto::thumbprint(new_key);
  const std::string new_jwk = crypto::canonical_json(new_key);
  const std::string new_spki = crypto::spki_sha256(new_key);

  KeyChange change = context_.store.write([&](store::Tx& tx) -> KeyChange {
    check_is_valid(tx, account);
    // RFC 8555 section 7.3.5: "If there is an existing account with the new key provided" -> 409;
    // our own one counts.
    if (const auto holder = tx.accounts().by_thumbprint(account.directory, new_thumbprint)) {
      return holder->id;
    }
    check_key_is_free(tx, new_spki);
    if (!tx.accounts().change_key(account.directory, account.id, old_thumbprint, new_thumbprint,
                                  new_jwk, new_spki)) {
      reject(ProblemType::malformed,
             "oldKey is not the account's key; it may have been changed meanwhile.");
    }
    store::AuditEvent event = event_of("account.key_changed", account);
    event.details["old_thumbprint"] = old_thumbprint;
    event.details["new_thumbprint"] = new_thumbprint;
    event.details["client"] = client;
    tx.audit().append(event);
    crash_point("account.key_changing");
    return tx.accounts().of(account.directory, account.id).value();
  });
  crash_point("account.key_changed");
  if (std::holds_alternative<Account>(change)) {
    context_.log.info("account.key_changed", {{"account", account.id}, {"client", client}});
  }
  return change;
}

}  // namespace gatehouse::service
