// Which identifiers we are willing to issue for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/core/identifier.h"

namespace gatehouse {

// Rules of one profile. A denial wins over an allowance; with no allowance of a kind, all of that
// kind is allowed.
struct IdentifierPolicy {
  std::vector<std::string>
      allowed_dns;  // "corp.example": the name and all below; "*.corp.example": wildcards of it
  std::vector<std::string> denied_dns;  // same
  std::vector<IpPrefix> allowed_ip;
  std::vector<IpPrefix> denied_ip;
  bool allow_ip = true;  // any ip identifier at all
  bool allow_wildcards = true;
  bool allow_single_label = true;  // "intranet": an internal CA's habit
  bool public_suffix_rule =
      false;  // refuse public suffixes and wildcards right below them (libpsl)

  friend bool operator==(const IdentifierPolicy&, const IdentifierPolicy&) = default;
};

// Nothing when `identifier` may be ordered, else the sentence for a rejectedIdentifier problem.
std::optional<std::string> why_refused(const Identifier& identifier,
                                       const IdentifierPolicy& policy);

// What is wrong with the rules themselves, naming the rule that is no domain; for check-config.
std::optional<std::string> why_unusable(const IdentifierPolicy& policy);

}  // namespace gatehouse
