#include "ca-backends/validity.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"

namespace gatehouse::backends {
namespace {

using std::chrono::seconds;

// RFC 5280 section 4.1.2.5: a validity includes both of its ends.
constexpr seconds kLastSecond{1};

[[noreturn]] void refuse(const Profile& profile, const std::string& what) {
  reject(ProblemType::malformed, what + " (profile \"" + profile.name + "\").");
}

std::string quoted(std::string_view field, Instant instant) {
  return std::string(field) + " " + to_rfc3339(instant);
}

// What the profile and the client agree on, whoever the issuer is.
Validity agreed(const Profile& profile, std::optional<Instant> not_before,
                std::optional<Instant> not_after, Instant now) {
  const Instant earliest = now - profile.backdate;
  const Instant latest = now + profile.validity - kLastSecond;
  const Instant begin = not_before ? *not_before
                        : not_after
                            ? std::max(earliest, *not_after - profile.validity + kLastSecond)
                            : earliest;
  const Instant end =
      not_after ? *not_after : std::min(begin + profile.validity - kLastSecond, latest);

  if (begin < earliest) {
    refuse(profile, quoted("notBefore", begin) + " is earlier than " + to_rfc3339(earliest) +
                        ", the earliest that a certificate may begin now");
  }
  if (begin >= end || end <= now) {
    refuse(profile,
           "Between " + quoted("notBefore", begin) + " and " + quoted("notAfter", end) +
               " there is no time in which the certificate would be valid; the latest end is " +
               to_rfc3339(latest));
  }
  if (end > latest || end - begin + kLastSecond > profile.validity) {
    refuse(profile, quoted("notAfter", end) + " is later than " +
                        to_rfc3339(std::min(latest, begin + profile.validity - kLastSecond)) +
                        ", the latest end of a certificate that begins at " + to_rfc3339(begin));
  }
  return {begin, end};
}

}  // namespace

Validity leaf_validity(const Profile& profile, std::optional<Instant> not_before,
                       std::optional<Instant> not_after, const Validity& issuer, Instant now) {
  if ((not_before || not_after) && !profile.client_dates) {
    refuse(profile, "Orders choose no notBefore and notAfter here; order again without them");
  }
  Validity leaf = agreed(profile, not_before, not_after, now);
  if (leaf.not_before < issuer.not_before) {
    if (not_before) {
      refuse(profile, quoted("notBefore", *not_before) + " is before the issuing CA begins, " +
                          to_rfc3339(issuer.not_before));
    }
    leaf.not_before = issuer.not_before;
  }
  if (leaf.not_after > issuer.not_after) {
    if (not_after) {
      refuse(profile, quoted("notAfter", *not_after) + " is after the issuing CA ends, " +
                          to_rfc3339(issuer.not_after));
    }
    leaf.not_after = issuer.not_after;
    // A leaf that is over soon after it began surprises everyone; an issuer to be renewed should
    // surprise its operator.
    if (leaf.not_after - leaf.not_before + kLastSecond < profile.validity / 2) {
      reject(ProblemType::serverInternal,
             "The issuing CA ends at " + to_rfc3339(issuer.not_after) +
                 ", which leaves less than half of the validity of profile \"" + profile.name +
                 "\"; the operator of this server must renew the issuing CA.");
    }
  }
  return leaf;
}

}  // namespace gatehouse::backends
