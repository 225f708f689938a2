#include "validators/dns_txt.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/text.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::validators {

namespace {

constexpr std::size_t kRecordSample = 100;  // characters of a record, in the problem
constexpr std::size_t kMaxSamples = 5;      // records
constexpr std::size_t kMaxAliases = 16;     // more than a resolver follows

// "x.test, then y.test"
std::string chain_of(const std::vector<std::string>& aliases) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(aliases.size(), kMaxAliases); ++i)
    names.push_back(sanitize(aliases[i], kMaxDnsNameLength));
  return join(names, ", then ");
}

// "_acme-challenge.a.test", with where its CNAME records lead: the record belongs at the last name.
std::string place_of(const TxtQuestion& question, const std::vector<std::string>& aliases) {
  if (aliases.empty()) return question.name;
  return question.name + " (a CNAME to " + chain_of(aliases) + ")";
}

std::string publish(const TxtQuestion& question, const std::vector<std::string>& aliases) {
  const std::string at =
      aliases.empty() ? question.name : sanitize(aliases.back(), kMaxDnsNameLength);
  return "Publish a TXT record at " + at + " with the value \"" + question.expected +
         "\" and wait until every name server of its zone has it";
}

Problem problem_of(ProblemType type, const TxtQuestion& question, const std::string& what,
                   const std::string& next_step) {
  return {.type = type,
          .detail = std::string(question.challenge_type) + " for " + question.identifier + ": " +
                    what + ". " + next_step + "."};
}

std::string samples_of(const std::vector<std::string>& texts) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(texts.size(), kMaxSamples); ++i)
    shown.push_back("\"" + sanitize(texts[i], kRecordSample) + "\"");
  std::string list = join(shown, ", ");
  if (texts.size() > kMaxSamples)
    list += " and " + std::to_string(texts.size() - kMaxSamples) + " more";
  return list;
}

// Behind a CNAME record stand the records of a name that whoever set it chose: perhaps one that our
// resolver knows and the internet does not. Their number is told, not their text.
std::string records_of(const net::DnsAnswer& answer) {
  const std::size_t count = answer.texts.size();
  if (!answer.aliases.empty()) {
    return (count == 1 ? "a TXT record" : std::to_string(count) + " TXT records") +
           std::string(" with other text");
  }
  return (count == 1 ? "the TXT record " : std::to_string(count) + " TXT records, ") +
         samples_of(answer.texts);
}

std::string trail_line(const std::string& name,
                       const Expected<net::DnsAnswer, net::DnsError>& answer) {
  const auto& aliases = answer ? answer->aliases : answer.error().aliases;
  return "dns " + name + " TXT: " + (aliases.empty() ? "" : "CNAME " + chain_of(aliases) + ", ") +
         (answer ? samples_of(answer->texts) : answer.error().detail);
}

}  // namespace

TxtLookup look_up_txt(net::Egress& egress, const std::string& name, Deadline deadline) {
  auto answer = egress.query(name, net::RecordType::TXT, deadline);
  std::string trail = trail_line(name, answer);
  return {.answer = std::move(answer), .trail = std::move(trail)};
}

Problem txt_problem(const net::DnsError& error, const TxtQuestion& question) {
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

Problem txt_problem(const net::DnsAnswer& answer, const TxtQuestion& question,
                    const std::string& hint) {
  return problem_of(ProblemType::unauthorized, question,
                    place_of(question, answer.aliases) + " has " + records_of(answer) + ", but \"" +
                        question.expected + "\" was expected",
                    hint + publish(question, answer.aliases));
}

}  // namespace gatehouse::validators
