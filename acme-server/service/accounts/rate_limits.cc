#include "acme-server/service/accounts/rate_limits.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/clock.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/core/problem.h"

namespace gatehouse::service {
namespace {

constexpr std::chrono::seconds kHour = std::chrono::hours(1);
constexpr std::size_t kNetworkOctets = 8;  // of an IPv6 address: its /64

std::string_view plural_of(LimitedAction action) {
  switch (action) {
    case LimitedAction::new_account:
      return "new accounts from your address";
    case LimitedAction::account_change:
      return "changes of this account";
    case LimitedAction::key_change:
      return "changes of this account's key";
  }
  return {};
}

}  // namespace

void RateLimits::forget(Buckets& buckets, Instant now) {
  std::erase_if(buckets, [&](const auto& entry) { return now - entry.second.at >= kHour; });
  if (buckets.size() >= kBuckets) buckets.clear();
}

void RateLimits::take(LimitedAction action, const std::string& who, std::size_t per_hour) {
  if (who.empty()) return;
  const auto most = static_cast<double>(per_hour);
  const Instant now = clock_.now();
  const auto missing = buckets_.with([&](Buckets& buckets) -> std::optional<double> {
    if (buckets.size() >= kBuckets) forget(buckets, now);
    Bucket& bucket =
        buckets.try_emplace({action, who}, Bucket{.permits = most, .at = now}).first->second;
    // A clock that was set back gives nothing.
    const auto passed =
        static_cast<double>(std::max(now - bucket.at, std::chrono::seconds(0)).count());
    bucket.permits =
        std::min(most, bucket.permits + passed * most / static_cast<double>(kHour.count()));
    bucket.at = now;
    if (bucket.permits < 1) return 1 - bucket.permits;
    bucket.permits -= 1;
    return std::nullopt;
  });
  if (!missing) return;
  const std::chrono::seconds wait(
      static_cast<std::int64_t>(std::ceil(*missing * static_cast<double>(kHour.count()) / most)));
  reject({.type = ProblemType::rateLimited,
          .detail = "There were more than " + std::to_string(per_hour) + " " +
                    std::string(plural_of(action)) + " within an hour; try again in " +
                    std::to_string(wait.count()) + " seconds.",
          .retry_after = wait});
}

std::string client_key(const std::string& address) {
  const auto parsed = IpAddress::parse(address);
  if (!parsed) return "";
  if (!parsed->v6) return address;
  IpAddress network = *parsed;
  std::fill(network.octets.begin() + kNetworkOctets, network.octets.end(), std::uint8_t{0});
  return network.to_string();
}

}  // namespace gatehouse::service
