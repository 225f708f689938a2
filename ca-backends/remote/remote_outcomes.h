// The outcomes that every CA elsewhere has in common: refused, still pending, and lost.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "acme-server/base/clock.h"
#include "ca-backends/backend.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {

// What an intent's `poll` says of a pending request.
struct PollState {
  std::string token;  // what the CA wants to hear when it is asked again; may be empty
  Instant since;      // when it was pending first
};

// Nothing before the first Pending. Throws JsonError when it is not what still_pending() wrote.
std::optional<PollState> read_poll(const std::string& poll);

// What a pending answer says, and what was known before.
struct PendingAnswer {
  std::string poll;                                 // of the intent
  std::string token;                                // empty: the one before
  std::optional<std::chrono::seconds> retry_after;  // what the CA said
  Instant now;
};

// Pending until RemoteCaOptions::pending_limit has passed, then in doubt. Without a retry_after the
// next question comes after a tenth of the time waited so far, between 30 seconds and an hour.
IssueOutcome still_pending(const std::string& backend, const RemoteCaOptions& options,
                           const PendingAnswer& answer);

// `reason` is fit for a client, who reads it where the options say so; `answer` is the operator's.
Refused refused_by_ca(const RemoteCaOptions& options, const std::string& reason,
                      const std::string& answer);

// Nobody can tell whether the CA has issued. `why` is a clause: "its answer was lost".
InDoubt answer_lost(const std::string& backend, const std::string& why);

}  // namespace gatehouse::backends
