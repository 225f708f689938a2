#include "acme-server/service/orders/requested_identifiers.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/expected.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/identifier_policy.h"
#include "acme-server/core/problem.h"
#include "acme-server/core/profile.h"
#include "acme-server/service/orders/orders.h"
#include "acme-server/service/validation/challenge_types.h"
#include "ca-backends/backend.h"
#include "validators/validator.h"

namespace gatehouse::service {
namespace {

// An order that repeats names may be longer than its profile allows, but not without end.
constexpr std::size_t kMaxRequested = 1000;

ProblemType type_of(IdentifierError::Kind kind) {
  switch (kind) {
    case IdentifierError::Kind::unsupported_type:
      return ProblemType::unsupportedIdentifier;
    case IdentifierError::Kind::malformed:
      return ProblemType::malformed;
    case IdentifierError::Kind::rejected:
      return ProblemType::rejectedIdentifier;
  }
  return ProblemType::malformed;
}

// The identifier as it was sent, to find it again by (RFC 8555 section 6.7.1), when it can be said
// at all.
std::optional<Identifier> as_sent(const Orders::RequestedIdentifier& sent) {
  if (sent.value.size() > kMaxDnsNameLength) {
    return std::nullopt;
  }
  if (sent.type == to_string(IdentifierType::dns)) {
    return Identifier{IdentifierType::dns, sent.value};
  }
  if (sent.type == to_string(IdentifierType::ip)) {
    return Identifier{IdentifierType::ip, sent.value};
  }
  return std::nullopt;
}

std::optional<std::string> why_not_ordered(const Identifier& identifier, const Profile& profile,
                                           const validators::ValidatorSet& validators,
                                           const backends::CertificateBackend* backend) {
  if (std::optional<std::string> why = why_refused(identifier, profile.identifiers)) {
    return why;
  }
  if (types_for(identifier, profile, validators).empty()) {
    return identifier.value + " cannot be proven by any challenge type enabled here (" +
           join(profile.challenge_types, ", ") + ").";
  }
  return backend == nullptr ? std::nullopt : backend->why_never(identifier);
}

// RFC 8555 section 6.7.1: a problem with subproblems is "compound" unless one type says it all.
[[noreturn]] void reject_all(std::vector<Subproblem> bad) {
  const bool alike = std::ranges::all_of(
      bad, [&](const Subproblem& problem) { return problem.type == bad.front().type; });
  const std::string detail =
      bad.size() == 1
          ? bad.front().detail
          : std::to_string(bad.size()) + " identifiers cannot be ordered; see subproblems.";
  reject({.type = alike ? bad.front().type : ProblemType::compound,
          .detail = detail,
          .subproblems = std::move(bad)});
}

}  // namespace

std::vector<Identifier> read_identifiers(const std::vector<Orders::RequestedIdentifier>& requested,
                                         const Profile& profile,
                                         const validators::ValidatorSet& validators,
                                         const backends::CertificateBackend* backend) {
  if (requested.empty()) {
    reject(ProblemType::malformed, "An order needs at least one identifier.");
  }
  if (requested.size() > kMaxRequested) {
    reject(ProblemType::malformed, "The order has " + std::to_string(requested.size()) +
                                       " identifiers; at most " + std::to_string(kMaxRequested) +
                                       " are read.");
  }
  std::vector<Identifier> identifiers;
  std::vector<Subproblem> bad;
  for (const Orders::RequestedIdentifier& sent : requested) {
    const Expected<Identifier, IdentifierError> parsed = parse_identifier(sent.type, sent.value);
    if (!parsed) {
      bad.push_back({.type = type_of(parsed.error().kind),
                     .detail = parsed.error().detail,
                     .identifier = as_sent(sent)});
    } else if (const auto why = why_not_ordered(*parsed, profile, validators, backend)) {
      bad.push_back(
          {.type = ProblemType::rejectedIdentifier, .detail = *why, .identifier = *parsed});
    } else if (std::ranges::find(identifiers, *parsed) == identifiers.end()) {
      identifiers.push_back(*parsed);
    }
  }
  if (!bad.empty()) {
    reject_all(std::move(bad));
  }
  if (identifiers.size() > profile.max_identifiers) {
    reject(ProblemType::malformed, "The order has " + std::to_string(identifiers.size()) +
                                       " identifiers; profile " + profile.name + " allows " +
                                       std::to_string(profile.max_identifiers) + ".");
  }
  return identifiers;
}

}  // namespace gatehouse::service
