#include "validators/dns01.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/resolver.h"
#include "validators/dns_txt.h"
#include "validators/options_reader.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

namespace {

constexpr std::string_view kLabel = "_acme-challenge.";

// RFC 8555 section 8.4: "The record provisioned to the DNS contains the base64url encoding of this
// digest", of SHA-256 over the key authorization.
std::string record_for(const std::string& key_authorization) {
  return base64url_encode(crypto::sha256(key_authorization));
}

// What the records say that nearly are the right one. "" when none is.
std::string likely_mistake(const std::vector<std::string>& texts, const TxtQuestion& question,
                           const std::string& key_authorization) {
  const auto any = [&](auto is_it) { return std::ranges::any_of(texts, is_it); };
  if (any([&](std::string_view text) { return trim(text) == key_authorization; })) {
    return "That is the key authorization itself: its SHA-256 digest in base64url belongs there. ";
  }
  const bool dressed = any([&](std::string_view text) {
    constexpr std::string_view kDress = " \t\r\n\"'=";
    const std::size_t first = std::min(text.find_first_not_of(kDress), text.size());
    return text.substr(first, text.find_last_not_of(kDress) + 1 - first) == question.expected;
  });
  if (dressed) return "White space, quotes or \"=\" around the value must go. ";
  if (any([&](std::string_view text) { return equals_ignoring_case(text, question.expected); }))
    return "Upper and lower case count. ";
  return "";
}

// Nothing when one of the records is the one expected: RFC 8555 section 8.4 asks that "one of" them
// matches, exactly. Others may belong to other orders.
std::optional<Problem> judge(const net::DnsAnswer& answer, const TxtQuestion& question,
                             const std::string& key_authorization) {
  if (std::ranges::find(answer.texts, question.expected) != answer.texts.end()) return std::nullopt;
  return txt_problem(answer, question, likely_mistake(answer.texts, question, key_authorization));
}

}  // namespace

Dns01Options Dns01::read_options(const JsonObject& json) {
  json.only({"timeout_seconds"});
  Dns01Options options;
  options.timeout = read_timeout(json).value_or(options.timeout);
  return options;
}

Dns01::Dns01(Options options, net::Egress& egress) : options_(options), egress_(&egress) {}

bool Dns01::can_validate(const Identifier& identifier) const {
  return identifier.type == IdentifierType::dns &&
         kLabel.size() + identifier.base().value.size() <= kMaxDnsNameLength;
}

ValidationOutcome Dns01::validate(const ValidationRequest& request, Deadline deadline) {
  ACME_CHECK(can_validate(request.identifier) && !request.identifier.is_wildcard());
  const TxtQuestion question{.challenge_type = challenge_type(),
                             .identifier = request.identifier.value,
                             .name = std::string(kLabel) + request.identifier.value,
                             .expected = record_for(request.key_authorization)};
  TxtLookup lookup = look_up_txt(*egress_, question.name, deadline.at_most(options_.timeout));
  ValidationOutcome outcome;
  outcome.trail.push_back(std::move(lookup.trail));
  outcome.problem = lookup.answer ? judge(*lookup.answer, question, request.key_authorization)
                                  : txt_problem(lookup.answer.error(), question);
  outcome.answered =
      outcome.problem.has_value() && (lookup.answer || net::has_none(lookup.answer.error()));
  return outcome;
}

}  // namespace gatehouse::validators
