// RateLimits: how often clients may do what costs the server disk and needs no proof of a name.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/guarded.h"

namespace gatehouse::service {

enum class LimitedAction { new_account, account_change, key_change };

// A bucket for each action and each who: it holds the permits of an hour, and fills up in an hour.
// In memory: a restart fills them all. Safe to call from any thread. `clock` outlives it.
class RateLimits final {
 public:
  explicit RateLimits(Clock& clock) : clock_(clock) {}

  // Takes a permit of those that `who` has for `action`, `per_hour` in an hour. Rejects with
  // rateLimited and Retry-After when there is none. Nobody ("") is not limited.
  void take(LimitedAction action, const std::string& who, std::size_t per_hour);

 private:
  // Beyond this many, buckets are forgotten: those that are full again, or, when they are all in
  // use, every one of them.
  static constexpr std::size_t kBuckets = 16384;

  struct Bucket {
    double permits = 0;
    Instant at;  // when it had so many
  };

  using Buckets = std::map<std::pair<LimitedAction, std::string>, Bucket>;

  static void forget(Buckets& buckets, Instant now);

  Clock& clock_;
  Guarded<Buckets> buckets_;
};

// Who counts as one client by the address that a request came from: the IPv4 address, or the /64 of
// an IPv6 one, which one host may have all of. "" for what is no address: an operator's command.
std::string client_key(const std::string& address);

}  // namespace gatehouse::service
