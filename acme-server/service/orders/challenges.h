// The client says that a challenge is ready (RFC 8555 section 7.5.1): mark it and enqueue its
// validation.
#pragma once

#include <chrono>
#include <optional>

#include "acme-server/core/account.h"
#include "acme-server/core/authorization.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/completions.h"

namespace gatehouse::service {

struct ChallengeView {
  Challenge challenge;
  AuthorizationId authorization;
  std::optional<std::chrono::seconds> retry_after;  // while processing (section 8.2)
};

// How long a client should wait before it asks again about `challenge`; nothing unless it is
// processing.
std::optional<std::chrono::seconds> retry_after_of(const Challenge& challenge, Instant job_now);

class Challenges {
 public:
  explicit Challenges(Context& context) : context_(context) {}

  std::optional<ChallengeView> get(const Account& account, const ChallengeId& id);

  // Pending -> processing, with a job. One that is processing or final is returned as it is.
  // Rejects malformed when its authorization is not pending (expired, deactivated), rateLimited
  // beyond the account's running validations. `ticket`, for a caller whose answer can wait, is the
  // ticket for the first try when that begins at once; get() then shows what came of it.
  std::optional<ChallengeView> respond(const Account& account, const ChallengeId& id,
                                       Ticket* ticket = nullptr);

 private:
  Context& context_;
};

}  // namespace gatehouse::service
