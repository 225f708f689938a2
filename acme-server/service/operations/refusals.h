// Refusals: keeps what an account's requests were refused for, so that its operator sees it.
#pragma once

#include <optional>
#include <string>

#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

// A problem that a request was answered with, and what the request was about as far as its URL says
// so.
struct RefusedRequest {
  AccountId account;  // whose key has signed it
  std::optional<OrderId> order = {};
  std::optional<AuthorizationId> authorization = {};
  std::optional<ChallengeId> challenge = {};
  Problem problem;
  std::string route;   // the pattern
  std::string client;  // its address
};

// Safe from any thread; blocks on the database.
class Refusals {
 public:
  explicit Refusals(Context& context) : context_(context) {}

  // Counts it in the account's last few (store::Refusals). The first of each order and type also
  // becomes an audit event, "request.refused": all of them would let a client fill the disk. What
  // the URL names counts only if it is the account's own; an authorization stands for the newest
  // order that relies on it. Nothing is written while nothing new is begun (IssuanceStops). A
  // failure is logged and not thrown: the request has been answered.
  void note(const RefusedRequest& refused);

 private:
  Context& context_;
};

}  // namespace gatehouse::service
