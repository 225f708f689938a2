// The rules in force: of each ACME directory, and of the server as a whole.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "acme-server/core/ids.h"           // IWYU pragma: export
#include "acme-server/core/profile.h"       // IWYU pragma: export
#include "acme-server/crypto/key_policy.h"  // IWYU pragma: export

namespace gatehouse::service {

// How long answers wait for the first run of the job that their request began; 0: not at all. A
// client that need not poll is done sooner.
struct AnswerWait {
  std::chrono::milliseconds challenge{1000}, finalize{2000};

  // All answers for one order together, so that a hundred challenges in turn do not add up.
  std::chrono::milliseconds per_order() const { return challenge + finalize; }

  friend bool operator==(const AnswerWait&, const AnswerWait&) = default;
};

// The rules of one ACME directory. Accounts, orders, authorizations and certificates belong to the
// directory they were made in and are held against its rules (docs/adr/0020-directories.md).
struct Directory {
  DirectoryId name{"default"};  // as in URLs
  std::map<std::string, Profile> profiles = {{"default", Profile{}}};
  std::string default_profile = "default";
  crypto::KeyPolicy account_keys, certificate_keys;
  std::string terms_of_service;             // URL; empty: none to agree to
  std::string website;                      // URL; empty: none
  std::vector<std::string> caa_identities;  // the names by which CAA records permit us
  // What account URLs began with before a move, up to the account's id: for RFC 8657 accounturi.
  std::vector<std::string> previous_account_urls;
  std::size_t max_contacts = 10;
  int validation_attempts = 3;             // RFC 8555 section 8.2
  std::chrono::seconds validation_gap{5};  // between attempts
  // The same behind a failure that was the target's answer and will hardly change; of attempts no
  // more than validation_attempts.
  int validation_answered_attempts = 2;
  std::chrono::seconds validation_answered_gap{1};
  std::chrono::seconds validation_timeout{30};  // one attempt, all in all
  std::size_t max_orders_pending =
      1000;  // per account, unfinished and unexpired: rateLimited beyond
  // Names of an account that wait for their proof, over all its orders: rateLimited beyond.
  std::size_t max_names_pending = 2000;
  std::size_t max_validations_running = 100;  // per account
  // Within an hour; rateLimited beyond. Changes of an account are those of its contacts and terms;
  // its key may be changed as often besides.
  std::size_t max_account_changes = 60;  // per account
  std::size_t max_new_accounts = 500;    // per IPv4 address or /64 of IPv6

  // The named profile, "" being the default one; nullptr when there is none.
  const Profile* profile(const std::string& profile_name) const;

  friend bool operator==(const Directory&, const Directory&) = default;
};

// What no directory can say for itself: CRLs are an issuer's, which several directories may share,
// and the server's threads and connections are everybody's.
struct ServerRules {
  std::chrono::seconds issuance_timeout{30};                       // one call of a backend
  std::chrono::seconds crl_lifetime = std::chrono::hours(24 * 7);  // nextUpdate - thisUpdate
  std::chrono::seconds crl_interval = std::chrono::hours(24);      // made anew at least this often
  AnswerWait answer_wait;

  friend bool operator==(const ServerRules&, const ServerRules&) = default;
};

struct Policy {
  ServerRules server;
  std::map<DirectoryId, Directory> directories = {{DirectoryId("default"), Directory{}}};

  // nullptr when the config names no such directory.
  const Directory* find(const DirectoryId& name) const;

  // For what the store holds of a directory. One that the config no longer names has no profile, so
  // nothing is ordered, proven or issued in it, and what is unfinished ends as it does when a
  // profile is gone.
  const Directory& directory(const DirectoryId& name) const;
};

}  // namespace gatehouse::service
