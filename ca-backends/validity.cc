#include "ca-backends/validity.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/duration.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/crypto/certificate.h"
#include "ca-backends/issuers.h"

namespace gatehouse::backends {
namespace {

using std::chrono::seconds;

// RFC 5280 section 4.1.2.5: a validity includes both of its ends.
constexpr seconds kLastSecond{1};
constexpr std::chrono::hours kRetryAfter{1};  // an operator is needed

[[noreturn]] void refuse(const Profile& profile, const std::string& what) {
  reject(ProblemType::malformed, what + " (profile \"" + profile.name + "\").");
}

std::string quoted(std::string_view field, Instant instant) {
  return std::string(field) + " " + to_rfc3339(instant);
}

[[noreturn]] void refuse_late_end(const Profile& profile, Instant end, Instant latest,
                                  std::optional<Instant> not_before) {
  const std::string span = print_duration(profile.validity);
  refuse(profile, quoted("notAfter", end) + " is later than " + to_rfc3339(latest) + ", " + span +
                      (not_before ? " after " + quoted("notBefore", *not_before) : " from now") +
                      ": certificates last " + span + " at most");
}

Instant begin_of(const Profile& profile, const RequestedDates& dates, Instant now) {
  if (dates.not_before) return *dates.not_before;
  const Instant usual = now - backdate_of(profile);
  return dates.not_after ? std::max(usual, *dates.not_after - profile.validity) : usual;
}

void check_begin(const Profile& profile, Instant begin, Instant ordered) {
  const Instant earliest = ordered - backdate_of(profile);
  if (begin < earliest) {
    refuse(profile, quoted("notBefore", begin) + " is earlier than " + to_rfc3339(earliest) +
                        ", the earliest that a certificate may begin when it is ordered now");
  }
  if (begin >= ordered + profile.validity) {
    refuse(profile, quoted("notBefore", begin) + " is further ahead than certificates last, " +
                        print_duration(profile.validity));
  }
}

}  // namespace

ChainLifetime lifetime_of(const Issuer& issuer) {
  ChainLifetime lifetime{.not_before = issuer.certificate.not_before,
                         .not_after = issuer.certificate.not_after,
                         .ends_first = CaRole::issuer,
                         .name = issuer.certificate.subject_name};
  const auto look_at = [&](const crypto::Certificate& above, CaRole role) {
    if (above.not_after > lifetime.not_after) return;
    lifetime.not_after = above.not_after;
    lifetime.ends_first = role;
    lifetime.name = above.subject_name;
  };
  for (std::size_t above = 1; above < issuer.chain.size(); ++above) {
    look_at(issuer.chain[above], CaRole::intermediate);
  }
  if (issuer.root) look_at(*issuer.root, CaRole::root);
  return lifetime;
}

std::string describe(const ChainLifetime& chain) {
  switch (chain.ends_first) {
    case CaRole::issuer:
      return "the issuing CA \"" + chain.name + "\"";
    case CaRole::intermediate:
      return "the intermediate CA \"" + chain.name + "\"";
    case CaRole::root:
      return "the root \"" + chain.name + "\"";
  }
  ACME_CHECK(false);
  return "";
}

std::string remedy_for(CaRole role) {
  switch (role) {
    case CaRole::issuer:
      return "gatehouse rotate-issuer, and a restart";
    case CaRole::intermediate:
      return "have it renewed by who runs it; then gatehouse rotate-issuer --csr";
    case CaRole::root:
      return "a new CA under a new root: gatehouse init in another folder";
  }
  ACME_CHECK(false);
  return "";
}

seconds backdate_of(const Profile& profile) {
  // A backdate of all the validity would leave certificates that are over when they are issued.
  return profile.backdate < profile.validity ? profile.backdate : profile.validity / 2;
}

seconds minimum_validity_of(const Profile& profile) {
  return std::min(profile.minimum_validity, profile.validity - backdate_of(profile) - kLastSecond);
}

Validity agreed_validity(const Profile& profile, const RequestedDates& dates, Instant now) {
  if ((dates.not_before || dates.not_after) && !profile.client_dates) {
    refuse(profile, "Orders choose no notBefore and notAfter here; order again without them");
  }
  const Instant begin = begin_of(profile, dates, now);
  if (dates.not_before) check_begin(profile, begin, dates.ordered);
  const Instant latest = dates.not_before.value_or(now) + profile.validity;
  const Instant end = dates.not_after.value_or(begin + profile.validity - kLastSecond);
  if (end > latest) refuse_late_end(profile, end, latest, dates.not_before);
  if (begin >= end || end <= now) {
    refuse(profile, "Between " + quoted("notBefore", begin) + " and " + quoted("notAfter", end) +
                        " there is no time in which the certificate would be valid; the latest "
                        "end is " +
                        to_rfc3339(latest));
  }
  return {begin, end};
}

Validity leaf_validity(const Profile& profile, const RequestedDates& dates,
                       const ChainLifetime& chain, Instant now) {
  Validity leaf = agreed_validity(profile, dates, now);
  if (leaf.not_before < chain.not_before) {
    if (dates.not_before) {
      refuse(profile, quoted("notBefore", leaf.not_before) + " is before the issuing CA begins, " +
                          to_rfc3339(chain.not_before));
    }
    leaf.not_before = chain.not_before;
  }
  if (leaf.not_after <= chain.not_after) return leaf;
  const std::string ends = describe(chain) + " ends at " + to_rfc3339(chain.not_after);
  if (dates.not_after)
    refuse(profile, quoted("notAfter", leaf.not_after) + " is too late: " + ends);
  // Nobody asked for an end, and a shorter certificate is better than none, while it is of use.
  leaf.not_after = chain.not_after;
  const Instant from = std::max(now, leaf.not_before);
  if (leaf.not_after - from < minimum_validity_of(profile)) {
    if (dates.not_before) {
      refuse(profile, quoted("notBefore", leaf.not_before) + " is too late: " + ends);
    }
    reject({.type = ProblemType::serverInternal,
            .detail = "Nothing can be issued: " + ends + ", which leaves less than " +
                      print_duration(minimum_validity_of(profile)) +
                      ", the least for a certificate of profile \"" + profile.name +
                      "\"; the operator of this server must renew it.",
            .status = 503,
            .retry_after = kRetryAfter});
  }
  return leaf;
}

}  // namespace gatehouse::backends
