#include "validators/caa.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/resolver.h"
#include "validators/caa_value.h"

namespace gatehouse::validators {

namespace {

constexpr std::size_t kShownRecords = 4;  // of a set, in a sentence or a trail
constexpr std::size_t kShownValue = 120;  // characters of a record's value
constexpr std::size_t kShownTag = 30;

// Of RFC 8659 section 4.1; bit 0 is where RFC 5280 readers of old put it, and some zones still do.
constexpr std::uint8_t kCritical = 0x80;
constexpr std::uint8_t kCriticalOfOld = 0x01;

// Properties that this CA knows. Only issue and issuewild speak of TLS certificates; the others
// are contacts (RFC 8659 section 4.4, CA/Browser Forum) and other kinds (RFC 9495, VMC).
constexpr std::array<std::string_view, 7> kKnownTags = {
    "issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"};

bool has_tag(const net::CaaRecord& record, std::string_view tag) {
  return equals_ignoring_case(record.tag, tag);
}

bool is_critical(const net::CaaRecord& record) {
  return (record.flags & (kCritical | kCriticalOfOld)) != 0;
}

bool is_known(const net::CaaRecord& record) {
  return std::ranges::any_of(kKnownTags,
                             [&](std::string_view tag) { return has_tag(record, tag); });
}

std::string print(const net::CaaRecord& record) {
  return std::to_string(record.flags) + " " + sanitize(record.tag, kShownTag) + " \"" +
         sanitize(record.value, kShownValue) + "\"";
}

std::string print(const std::vector<net::CaaRecord>& records) {
  std::vector<std::string> shown;
  for (const net::CaaRecord& record : records) {
    if (shown.size() == kShownRecords) {
      shown.push_back(std::to_string(records.size() - kShownRecords) + " more");
      break;
    }
    shown.push_back(print(record));
  }
  return join(shown, ", ");
}

// Why one record does not permit this request, from what says least to what says most.
enum class Hindrance {
  none,          // it does permit it
  other_issuer,  // it is another CA's, or nobody's
  malformed,     // it follows no grammar
  repeated,      // a parameter stands in it twice
  method,        // it is ours, but for other challenge types
  account,       // it is ours, but for another account
};

// At most one of `tag`; whether it is missing or `holds` of its value.
template <class Holds>
std::optional<Hindrance> hindered_by(const IssueValue& value, std::string_view tag,
                                     Hindrance otherwise, Holds holds) {
  const auto is_tag = [&](const IssueParameter& parameter) {
    return equals_ignoring_case(parameter.tag, tag);
  };
  const auto count = std::ranges::count_if(value.parameters, is_tag);
  if (count == 0) return std::nullopt;
  if (count > 1) return Hindrance::repeated;
  return holds(std::ranges::find_if(value.parameters, is_tag)->value) ? std::nullopt
                                                                      : std::optional(otherwise);
}

Hindrance hindrance_of(const net::CaaRecord& record, const CaaRequest& request) {
  const auto value = parse_issue_value(record.value);
  // RFC 8659 section 4.2: "An issue Property Tag where the issue-value does not match the ABNF
  // grammar MUST be treated the same as one specifying an empty issuer-domain-name."
  if (!value) return Hindrance::malformed;
  const bool ours = std::ranges::any_of(request.identities, [&](const std::string& identity) {
    return equals_ignoring_case(identity, value->issuer_domain);
  });
  if (!ours || value->issuer_domain.empty()) return Hindrance::other_issuer;
  // RFC 8657 section 3: the URI is compared as a string (RFC 3986 section 6.2.1).
  const auto account =
      hindered_by(*value, "accounturi", Hindrance::account, [&](const std::string& uri) {
        return std::ranges::find(request.account_urls, uri) != request.account_urls.end();
      });
  const auto method = hindered_by(
      *value, "validationmethods", Hindrance::method,
      [&](const std::string& methods) { return names_method(methods, request.challenge_type); });
  if (account) return *account;
  return method.value_or(Hindrance::none);
}

// The record that would let this CA issue.
std::string record_to_add(const CaaRequest& request, const std::string& at, std::string_view tag,
                          const std::string& parameters = "") {
  return sanitize(at, kMaxDnsNameLength) + ". CAA 0 " + std::string(tag) + " \"" +
         request.identities.front() + parameters + "\".";
}

struct Judged {
  const net::CaaRecord* record = nullptr;
  Hindrance hindrance = Hindrance::other_issuer;
};

// The second half of the sentence: what stands there, and the next step.
std::string explain(const CaaRequest& request, const std::string& at, std::string_view tag,
                    const Judged& judged, const std::vector<net::CaaRecord>& records) {
  const std::string it = "has the CAA record " + print(*judged.record);
  switch (judged.hindrance) {
    case Hindrance::none:
    case Hindrance::other_issuer:
      return (records.size() == 1
                  ? it + ", which does not permit this CA"
                  : "has the CAA records " + print(records) + ", none of which permits this CA") +
             ". Add the record: " + record_to_add(request, at, tag);
    case Hindrance::malformed:
      return it +
             ", which does not follow RFC 8659 section 4.2 and so permits nobody. Add the "
             "record: " +
             record_to_add(request, at, tag);
    case Hindrance::repeated:
      return it +
             ", which has accounturi or validationmethods more than once and so permits nobody. "
             "Leave one of each.";
    case Hindrance::method:
      return it + ", which does not list " + request.challenge_type +
             " in validationmethods. Prove the name by a type that it lists, or add the record: " +
             record_to_add(request, at, tag, "; validationmethods=" + request.challenge_type);
    case Hindrance::account:
      return it + ", which permits this CA for another account. Add the record: " +
             record_to_add(request, at, tag, "; accounturi=" + request.account_urls.front());
  }
  return {};
}

Problem refusal(const CaaRequest& request, const std::string& at, const std::string& rest) {
  return {.type = ProblemType::caa,
          .detail = "CAA for " + std::string(request.wildcard ? "*." : "") +
                    request.identifier.value + ": " + sanitize(at, kMaxDnsNameLength) + " " + rest};
}

// The records that speak of this request. RFC 8659 section 4.3: issuewild is passed over for a name
// that is no wildcard; for one that is, it takes precedence over issue.
std::string_view tag_for(const CaaRequest& request, const std::vector<net::CaaRecord>& records) {
  const bool wild = request.wildcard && std::ranges::any_of(records, [](const auto& record) {
                      return has_tag(record, "issuewild");
                    });
  return wild ? "issuewild" : "issue";
}

std::optional<Problem> judge(const CaaRequest& request, const std::string& at,
                             const std::vector<net::CaaRecord>& records) {
  // RFC 8659 section 4.1: a critical property that a CA does not know forbids it to issue, whatever
  // else stands there.
  for (const net::CaaRecord& record : records) {
    if (is_critical(record) && !is_known(record)) {
      return refusal(request, at,
                     "has the critical CAA record " + print(record) +
                         ", a property that this CA does not know. Remove the record, or clear its "
                         "flags if CAs may pass over it.");
    }
  }
  const std::string_view tag = tag_for(request, records);
  Judged worst;
  for (const net::CaaRecord& record : records) {
    if (!has_tag(record, tag)) continue;
    const Hindrance hindrance = hindrance_of(record, request);
    if (hindrance == Hindrance::none) return std::nullopt;
    if (worst.record == nullptr || hindrance > worst.hindrance) {
      worst = {.record = &record, .hindrance = hindrance};
    }
  }
  // RFC 8659 section 4.2: without issue records (and, for a wildcard, issuewild ones) nothing is
  // restricted.
  if (worst.record == nullptr) return std::nullopt;
  if (request.identities.empty()) {
    return refusal(
        request, at,
        "has the CAA records " + print(records) +
            ", and this CA has no name that a record could permit it by. Ask its operator "
            "to set caa_identities.");
  }
  return refusal(request, at, explain(request, at, tag, worst, records));
}

CaaResult unknown(const CaaRequest& request, const std::string& at, const net::DnsError& error) {
  return {.problem = Problem{.type = ProblemType::dns,
                             .detail = "CAA for " + request.identifier.value + ": " + error.detail +
                                       ". A certificate needs an answer, if only that there are "
                                       "none. Check the DNS servers of " +
                                       at + "."},
          .trail = {"CAA " + at + ": " + error.detail}};
}

CaaResult too_deep(const CaaRequest& request, std::size_t labels) {
  const std::string count = std::to_string(labels) + " labels";
  return {.problem = refusal(request, "the name",
                             "has " + count + ", and this CA looks for CAA records at " +
                                 std::to_string(kMaxCaaLabels) +
                                 " at most. Order a name with fewer labels."),
          .trail = {"CAA not asked for: " + count}};
}

// The name above `name`; empty above the last label.
std::string parent_of(const std::string& name) {
  const std::size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(dot + 1);
}

}  // namespace

CaaResult judge_caa(const CaaRequest& request, const std::string& at, const net::DnsAnswer& found) {
  ACME_CHECK(!request.account_urls.empty());
  CaaResult result{.problem = judge(request, at, found.caa), .trail = {}};
  // Whoever set the CNAME chose whose records these are: perhaps a name's that our resolver knows
  // and the internet does not. So they are not shown.
  if (result.problem && !found.aliases.empty()) {
    result.problem = refusal(request, at,
                             "leads by CNAME to CAA records that do not permit this CA. Look at "
                             "the records where it leads to, or set CAA records without a CNAME.");
  }
  std::string line = "CAA " + sanitize(at, kMaxDnsNameLength) + ": " + print(found.caa);
  if (!found.aliases.empty()) line += ", by CNAME of " + sanitize(found.aliases.back(), 253);
  if (found.authenticated) line += " (DNSSEC)";
  result.trail = {std::move(line), result.problem ? "CAA forbids it" : "CAA permits it"};
  return result;
}

CaaResult Caa::check(const CaaRequest& request, Deadline deadline) {
  ACME_CHECK(request.identifier.type == IdentifierType::dns && !request.identifier.is_wildcard());
  std::vector<net::Question> walk;
  for (std::string at = request.identifier.value; !at.empty(); at = parent_of(at)) {
    walk.push_back({.name = at, .type = net::RecordType::CAA, .deadline = deadline});
  }
  if (walk.size() > kMaxCaaLabels) return too_deep(request, walk.size());
  std::vector<std::string> trail;
  std::size_t climbed = 0;
  std::optional<CaaResult> result;
  egress_->query_each(walk, [&](const Expected<net::DnsAnswer, net::DnsError>& answer) {
    const std::string& at = walk[climbed++].name;
    if (answer) {
      result = judge_caa(request, at, *answer);
    } else if (!has_none(answer.error())) {
      // RFC 8659 section 3 climbs past a name only when it has no records: what cannot be known is
      // no permission.
      result = unknown(request, at, answer.error());
    } else {
      trail.push_back("CAA " + at + ": none");
    }
    return !result;
  });
  if (!result) {
    ACME_CHECK(climbed == walk.size());  // nothing but "none" all the way up permits
    result = CaaResult{.problem = std::nullopt, .trail = {"CAA permits it: no records"}};
  }
  result->trail.insert(result->trail.begin(), trail.begin(), trail.end());
  return *std::move(result);
}

}  // namespace gatehouse::validators
