#include "acme-server/net/egress.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/net/address_policy.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/net_options.h"
#include "acme-server/net/network_error.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::net {

namespace {

constexpr std::size_t kMaxNameLength = 253;  // RFC 1035 section 2.3.4, as text
constexpr std::size_t kMaxLabelLength = 63;

// True for a last label that lenient parsers read as the end of an IPv4 address: decimal, octal or
// hex.
bool is_numeric_label(std::string_view label) {
  if (label.starts_with("0x") || label.starts_with("0X")) return true;
  return std::ranges::all_of(label, is_digit);
}

std::optional<NetworkError> why_bad_host(const std::string& host) {
  const auto error = [&](std::string_view why) {
    return NetworkError{.kind = NetworkError::Kind::bad_host,
                        .detail = "\"" + sanitize(host, 100) + "\" " + std::string(why),
                        .answered = true};
  };
  std::string_view name = host;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kMaxNameLength) return error("is longer than a DNS name can be");
  const auto labels = split(name, '.');
  for (const std::string_view label : labels) {
    if (label.empty() || label.size() > kMaxLabelLength ||
        !std::ranges::all_of(label, is_word_character)) {
      return error("is not a DNS name");
    }
  }
  if (is_numeric_label(labels.back())) {
    return error("is neither a DNS name nor an IP address in its usual form: write 192.0.2.1");
  }
  return std::nullopt;
}

std::string list_of(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const IpAddress& address : addresses) texts.push_back(address.to_string());
  return join(texts, ", ");
}

void note_answer(const std::string& host, RecordType type,
                 const Expected<DnsAnswer, DnsError>& answer, Trail& trail) {
  std::string line = "dns " + host + " " + std::string(to_string(type)) + ": ";
  if (answer) {
    for (const std::string& alias : answer->aliases)
      line += "CNAME " + sanitize(alias, kMaxNameLength) + ", ";
    line += list_of(answer->addresses);
  } else {
    line += answer.error().detail;
  }
  trail.push_back(std::move(line));
}

// What to say when neither family has an address.
NetworkError unresolved(const std::string& host, const DnsError& v6, const DnsError& v4) {
  const auto says = [](const DnsError& error, DnsError::Kind kind) { return error.kind == kind; };
  NetworkError error{.kind = NetworkError::Kind::dns, .detail = v4.detail};
  // NXDOMAIN is said of the name, whatever the type.
  error.answered = says(v4, DnsError::Kind::nxdomain) || (has_none(v4) && has_none(v6));
  if (says(v4, DnsError::Kind::nxdomain)) return error;
  if (says(v4, DnsError::Kind::no_data) && says(v6, DnsError::Kind::no_data)) {
    error.detail = host + " has neither A nor AAAA records";
  } else if (v4.detail != v6.detail) {
    error.detail += "; " + v6.detail;
  }
  return error;
}

}  // namespace

Egress::Egress(Resolver& resolver, Dialer& dialer, const EgressOptions& options)
    : resolver_(&resolver), dialer_(&dialer), options_(options) {}

Expected<DnsAnswer, DnsError> Egress::query(const std::string& name, RecordType type,
                                            Deadline deadline) {
  return resolver_->query(name, type, deadline);
}

void Egress::query_each(std::span<const Question> questions, const Resolver::Take& take) {
  resolver_->query_each(questions, take);
}

Expected<std::vector<IpAddress>, NetworkError> Egress::resolve(const std::string& host,
                                                               Deadline deadline, Trail& trail) {
  // Half the time for IPv6: a name whose servers are silent for one type still gets its answer for
  // the other, and there is time left to dial.
  const Question questions[] = {{.name = host,
                                 .type = RecordType::AAAA,
                                 .deadline = deadline.at_most(deadline.remaining() / 2)},
                                {.name = host, .type = RecordType::A, .deadline = deadline}};
  std::vector<Expected<DnsAnswer, DnsError>> answers;
  query_each(questions, [&](const Expected<DnsAnswer, DnsError>& answer) {
    note_answer(host, questions[answers.size()].type, answer, trail);
    answers.push_back(answer);
    return true;
  });
  const Expected<DnsAnswer, DnsError>& v6 = answers.at(0);
  const Expected<DnsAnswer, DnsError>& v4 = answers.at(1);
  if (!v6 && !v4) return Unexpected{unresolved(host, v6.error(), v4.error())};

  std::vector<IpAddress> addresses;
  if (v6) addresses = v6->addresses;
  if (v4) addresses.insert(addresses.end(), v4->addresses.begin(), v4->addresses.end());
  return addresses;
}

Expected<Connection, NetworkError> Egress::dial(const Endpoint& endpoint, Deadline deadline,
                                                Trail& trail) {
  auto stream = dialer_->dial(endpoint, deadline.at_most(options_.dial_timeout));
  const std::string where = endpoint.to_string();
  if (!stream) {
    trail.push_back("dial " + where + ": " + stream.error().detail);
    return Unexpected{NetworkError{.kind = NetworkError::Kind::connection,
                                   .detail = where + " " + stream.error().detail,
                                   .answered = stream.error().kind == DialError::Kind::refused}};
  }
  trail.push_back("dial " + where + ": connected");
  return Connection{.stream = std::move(*stream), .endpoint = endpoint};
}

Expected<Connection, NetworkError> Egress::connect(const std::string& host, std::uint16_t port,
                                                   const AddressPolicy& policy, Deadline deadline,
                                                   Trail& trail) {
  std::vector<IpAddress> addresses;
  if (const auto literal = IpAddress::parse(host)) {
    addresses = {*literal};
  } else {
    if (auto error = why_bad_host(host)) return Unexpected{std::move(*error)};
    auto resolved = resolve(host, deadline, trail);
    if (!resolved) return Unexpected{resolved.error()};
    addresses = std::move(*resolved);
  }

  std::optional<IpAddress> v6;
  std::optional<IpAddress> v4;
  std::vector<std::string> denials;
  for (const IpAddress& address : addresses) {
    if (auto why = policy.why_denied(address)) {
      trail.push_back("not dialled: " + *why);
      denials.push_back(std::move(*why));
    } else if (auto& slot = address.v6 ? v6 : v4; !slot) {
      slot = address;
    }
  }
  if (!v6 && !v4) {
    return Unexpected{
        NetworkError{.kind = NetworkError::Kind::denied,
                     .detail = "validation does not connect there: " + denials.front(),
                     .answered = true}};
  }
  if (!v6) return dial({.address = *v4, .port = port}, deadline, trail);
  if (!v4) return dial({.address = *v6, .port = port}, deadline, trail);

  auto connection =
      dial({.address = *v6, .port = port}, deadline.at_most(deadline.remaining() / 2), trail);
  if (connection) return connection;
  auto fallback = dial({.address = *v4, .port = port}, deadline, trail);
  if (fallback) return fallback;
  return Unexpected{
      NetworkError{.kind = NetworkError::Kind::connection,
                   .detail = connection.error().detail + ", and " + fallback.error().detail,
                   .answered = connection.error().answered && fallback.error().answered}};
}

}  // namespace gatehouse::net
