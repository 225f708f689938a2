// The rules that a directory is run by: which profiles there are, which keys are taken, how
// validation is paced.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

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

struct Policy {
  std::map<std::string, Profile> profiles = {{"default", Profile{}}};
  std::string default_profile = "default";
  crypto::KeyPolicy account_keys, certificate_keys;
  std::string terms_of_service;             // URL; empty: none to agree to
  std::vector<std::string> caa_identities;  // the names by which CAA records permit us
  // What account URLs began with before a move, up to the account's id: for RFC 8657 accounturi.
  std::vector<std::string> previous_account_urls;
  std::size_t max_contacts = 10;
  int validation_attempts = 3;                                     // RFC 8555 section 8.2
  std::chrono::seconds validation_gap{5};                          // between attempts
  std::chrono::seconds validation_timeout{30};                     // one attempt, all in all
  std::chrono::seconds issuance_timeout{30};                       // one call of a backend
  std::chrono::seconds crl_lifetime = std::chrono::hours(24 * 7);  // nextUpdate - thisUpdate
  std::chrono::seconds crl_interval = std::chrono::hours(24);      // made anew at least this often
  std::size_t max_orders_pending =
      1000;  // per account, unfinished and unexpired: rateLimited beyond
  std::size_t max_validations_running = 100;  // per account
  AnswerWait answer_wait;

  // The named profile, "" being the default one; nullptr when there is none.
  const Profile* profile(const std::string& name) const;
};

}  // namespace gatehouse::service
