#include "acme-server/service/validation/caa_checks.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/context.h"
#include "acme-server/service/events.h"
#include "acme-server/service/policy_options.h"
#include "acme-server/store/audit.h"
#include "validators/caa.h"

namespace gatehouse::service {
namespace {

// A check from the future was made while the clock was wrong. This much difference is nobody's
// fault.
constexpr std::chrono::seconds kClockSlack{60};

bool counts(const std::optional<Instant>& checked, Instant now) {
  return checked && now - *checked <= kCaaAge && *checked <= now + kClockSlack;
}

bool is_forbidden(const CaaCheck& check) {
  return check.result.problem && check.result.problem->type == ProblemType::caa;
}

std::string_view verdict_of(const CaaCheck& check) {
  if (!check.result.problem) return "permitted";
  return is_forbidden(check) ? "forbidden" : "unknown";
}

}  // namespace

bool has_caa(const Identifier& identifier, const Profile& profile) {
  return profile.caa == CaaMode::enforce && identifier.type == IdentifierType::dns;
}

std::vector<Authorization> caa_checks_due(std::span<const Authorization> authorizations,
                                          const Profile& profile, Instant now) {
  std::vector<Authorization> due;
  for (const Authorization& authorization : authorizations) {
    if (has_caa(authorization.identifier, profile) && !counts(authorization.caa_checked, now)) {
      due.push_back(authorization);
    }
  }
  return due;
}

CaaCheck check_caa(Context& context, const Directory& directory, const Authorization& authorization,
                   const std::string& challenge_type, Deadline deadline) {
  std::vector<std::string> accounts = {
      context.account_url(authorization.directory, authorization.account)};
  for (const std::string& prefix : directory.previous_account_urls) {
    accounts.push_back(prefix + authorization.account.str());
  }
  const Instant now = context.clock.now();
  return {.authorization = authorization,
          .at = now,
          .result = context.caa.check({.identifier = authorization.identifier.base(),
                                       .wildcard = authorization.identifier.is_wildcard(),
                                       .identities = directory.caa_identities,
                                       .account_urls = std::move(accounts),
                                       .challenge_type = challenge_type},
                                      deadline)};
}

store::AuditEvent caa_event(const CaaCheck& check, std::string_view when) {
  store::AuditEvent event = event_of("caa.checked", check.authorization, ServerPrincipal{});
  event.details["when"] = when;
  event.details["verdict"] = verdict_of(check);
  event.details["trail"] = check.result.trail;
  if (check.result.problem) event.details["problem"] = to_json(*check.result.problem);
  return event;
}

std::optional<Problem> caa_problem(std::span<const CaaCheck> checks, bool give_up) {
  const bool any_forbidden = std::ranges::any_of(checks, is_forbidden);
  std::vector<Subproblem> bad;
  for (const CaaCheck& check : checks) {
    const std::optional<Problem>& problem = check.result.problem;
    if (!problem || (any_forbidden ? !is_forbidden(check) : !give_up)) continue;
    bad.push_back({.type = problem->type,
                   .detail = problem->detail,
                   .identifier = check.authorization.identifier});
  }
  if (bad.empty()) return std::nullopt;
  const ProblemType type = any_forbidden ? ProblemType::caa : ProblemType::dns;
  if (bad.size() == 1) return Problem{.type = type, .detail = bad.front().detail};
  const std::string count = std::to_string(bad.size());
  return Problem{.type = type,
                 .detail = any_forbidden
                               ? "CAA records forbid certificates for " + count +
                                     " names of the order; see subproblems."
                               : "The CAA records of " + count +
                                     " names of the order cannot be asked for; see subproblems.",
                 .subproblems = std::move(bad)};
}

}  // namespace gatehouse::service
