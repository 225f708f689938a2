// may_sign: every check before a signature, in the transaction that marks an intent submitted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/order.h"
#include "acme-server/core/problem.h"
#include "acme-server/service/context.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

// What an order can have no certificate for.
enum class SigningRule {
  profile,        // the order's profile exists
  account,        // its account is valid
  authorization,  // each of its authorizations is valid
  proof,          // each was proven by a challenge type that is still enabled
  key             // the certificate's key is neither blocked nor an account's
};

struct SigningRefusal {
  SigningRule rule = SigningRule::profile;
  Problem problem;  // as the order's error
};

// What stands between an intent and its signature. Callers look at the members in this order.
struct SigningVerdict {
  std::optional<std::string> stopped;          // why nothing is signed now; it passes
  std::optional<std::string> backend_stopped;  // why its backend is asked for nothing now
  std::optional<SigningRefusal> refusal;       // the order has failed, whatever its intent says
  std::vector<Authorization> caa_due;          // their CAA records must be asked for again first
  std::optional<std::string> stale;            // why the intent is not what would be prepared now

  bool permitted() const {
    return !stopped && !backend_stopped && !refusal && caa_due.empty() && !stale;
  }
};

// Both Orders::finalize, which marks the intent that it stores when its job begins at once, and the
// job, which marks what was stored before, ask this and nothing else. `issuance` is the order's
// current one, not yet submitted; null when there is none: then key and age are not looked at.
// `now` is the clock's, read before the transaction: Tx::now() would keep a clock that was ahead
// for a while in the future, and every intent stale. An order of the server's own has no account
// and no authorizations.
SigningVerdict may_sign(store::Tx& tx, Context& context, const Policy& policy, const Order& order,
                        const store::Issuance* issuance, Instant now);

}  // namespace gatehouse::service
