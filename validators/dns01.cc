#include "validators/dns01.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/resolver.h"
#include "validators/options_reader.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

namespace {

constexpr std::string_view kLabel = "_acme-challenge.";
constexpr std::size_t kSample = 100;     // characters of a record, in the problem
constexpr std::size_t kMaxSamples = 5;   // records
constexpr std::size_t kMaxAliases = 16;  // more than a resolver follows

// What was looked up, for whom, and what should have been there.
struct Question {
  std::string identifier;
  std::string name;      // "_acme-challenge.a.test"
  std::string expected;  // the TXT record
};

// RFC 8555 section 8.4: "The record provisioned to the DNS contains the base64url encoding of this
// digest", of SHA-256 over the key authorization.
std::string record_for(const std::string& key_authorization) {
  return base64url_encode(crypto::sha256(key_authorization));
}

// "x.test, then y.test"
std::string chain_of(const std::vector<std::string>& aliases) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(aliases.size(), kMaxAliases); ++i)
    names.push_back(sanitize(aliases[i], kMaxDnsNameLength));
  return join(names, ", then ");
}

// "_acme-challenge.a.test", with where its CNAME records lead: the record belongs at the last name.
std::string place_of(const Question& question, const std::vector<std::string>& aliases) {
  if (aliases.empty()) return question.name;
  return question.name + " (a CNAME to " + chain_of(aliases) + ")";
}

std::string publish(const Question& question, const std::vector<std::string>& aliases) {
  const std::string at =
      aliases.empty() ? question.name : sanitize(aliases.back(), kMaxDnsNameLength);
  return "Publish a TXT record at " + at + " with the value \"" + question.expected +
         "\" and wait until every name server of its zone has it";
}

Problem problem_of(ProblemType type, const Question& question, const std::string& what,
                   const std::string& next_step) {
  return {.type = type,
          .detail = "dns-01 for " + question.identifier + ": " + what + ". " + next_step + "."};
}

// What a failed lookup means for who owns the zone.
Problem judge(const net::DnsError& error, const Question& question) {
  using Kind = net::DnsError::Kind;
  const auto dns = [&](const std::string& next_step) {
    return problem_of(ProblemType::dns, question, error.detail, next_step);
  };
  switch (error.kind) {
    case Kind::nxdomain:
      return problem_of(
          ProblemType::dns, question,
          place_of(question, error.aliases) + " does not exist in DNS (NXDOMAIN)",
          publish(question, error.aliases) +
              (error.aliases.empty() ? "" : ", or remove the CNAME record if it is not wanted"));
    case Kind::no_data:
      return problem_of(ProblemType::unauthorized, question,
                        place_of(question, error.aliases) + " has no TXT records",
                        publish(question, error.aliases));
    case Kind::servfail:
      return dns(
          "Check that all name servers of the zone answer for it, and that its DS, DNSKEY and "
          "RRSIG records agree");
    case Kind::refused:
      return dns("Check that the name servers the zone is delegated to serve it");
    case Kind::timeout:
      return dns("Check that all name servers of the zone answer, over UDP and TCP");
    case Kind::unreachable:
      return dns(
          "Nothing is wrong with the zone as far as is known: ask the operator of this ACME server "
          "to look at its resolvers");
    case Kind::malformed:
      return dns("Check the CNAME and TXT records of " + question.name);
    case Kind::truncated:
      return dns("Remove TXT records of earlier orders from " + question.name);
    case Kind::bad_name:
      return dns("Use a name that DNS can hold");
  }
  return dns("Try again");
}

// What the records say that nearly are the right one. "" when none is.
std::string likely_mistake(const std::vector<std::string>& texts, const Question& question,
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

std::string samples_of(const std::vector<std::string>& texts) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(texts.size(), kMaxSamples); ++i)
    shown.push_back("\"" + sanitize(texts[i], kSample) + "\"");
  std::string list = join(shown, ", ");
  if (texts.size() > kMaxSamples)
    list += " and " + std::to_string(texts.size() - kMaxSamples) + " more";
  return list;
}

// Nothing when one of the records is the one expected: RFC 8555 section 8.4 asks that "one of" them
// matches, exactly. Others may belong to other orders.
std::optional<Problem> judge(const net::DnsAnswer& answer, const Question& question,
                             const std::string& key_authorization) {
  if (std::ranges::find(answer.texts, question.expected) != answer.texts.end()) return std::nullopt;
  const std::size_t count = answer.texts.size();
  return problem_of(
      ProblemType::unauthorized, question,
      place_of(question, answer.aliases) + " has " +
          (count == 1 ? "the TXT record " : std::to_string(count) + " TXT records, ") +
          samples_of(answer.texts) + ", but \"" + question.expected + "\" was expected",
      likely_mistake(answer.texts, question, key_authorization) +
          publish(question, answer.aliases));
}

std::string trail_line(const std::string& name,
                       const Expected<net::DnsAnswer, net::DnsError>& answer) {
  const auto& aliases = answer ? answer->aliases : answer.error().aliases;
  return "dns " + name + " TXT: " + (aliases.empty() ? "" : "CNAME " + chain_of(aliases) + ", ") +
         (answer ? samples_of(answer->texts) : answer.error().detail);
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
  const Question question{.identifier = request.identifier.value,
                          .name = std::string(kLabel) + request.identifier.value,
                          .expected = record_for(request.key_authorization)};
  const auto answer =
      egress_->query(question.name, net::RecordType::TXT, deadline.at_most(options_.timeout));
  ValidationOutcome outcome;
  outcome.trail.push_back(trail_line(question.name, answer));
  outcome.problem = answer ? judge(*answer, question, request.key_authorization)
                           : judge(answer.error(), question);
  return outcome;
}

}  // namespace gatehouse::validators
