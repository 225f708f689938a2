#include "validators/http01.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/ascii.h"
#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/address_policy.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/http_client.h"
#include "acme-server/net/http_response.h"
#include "validators/network_problem.h"
#include "validators/options_reader.h"
#include "validators/validator.h"
#include "validators/validators_options.h"

namespace gatehouse::validators {

namespace {

// A key authorization has 87 octets; the rest is room for whitespace after it. Nothing longer can
// be right.
constexpr std::size_t kMaxBody = 512;
constexpr std::size_t kBodySample = 100;  // of a wrong body, in the problem
constexpr std::size_t kUrlSample = 300;

bool is_base64url(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_word_character);
}

// RFC 8555 section 8.3: "The server SHOULD ignore whitespace characters at the end of the body."
std::string_view trim_end(std::string_view body) {
  const std::size_t last = body.find_last_not_of(" \t\r\n\v\f");
  return body.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// Where the answer came from: the last URL, the address, and how we got there. Where a server may
// not be quoted, the URL that we began with: redirects are quotes.
std::string source_of(const net::HttpAnswer& answer) {
  if (!answer.may_be_told) {
    const Url& first = answer.redirects.empty() ? answer.url : answer.redirects.front();
    return sanitize(first.to_string(), kUrlSample) +
           (answer.redirects.empty()
                ? " at " + answer.endpoint.to_string()
                : ", redirected in the end to " + answer.endpoint.to_string() + ",");
  }
  std::string text =
      sanitize(answer.url.to_string(), kUrlSample) + " at " + answer.endpoint.to_string();
  if (answer.redirects.empty()) return text;
  std::vector<std::string> chain;
  for (const Url& url : answer.redirects) chain.push_back(sanitize(url.to_string(), kUrlSample));
  return text + " (redirected from " + join(chain, ", then ") + ")";
}

// Who asks for a certificate decides whom we fetch from (an address record, a redirect), so the
// words of an internal server are not theirs to read.
std::string sample_of(const net::HttpAnswer& answer) {
  const net::HttpResponse& response = answer.response;
  if (response.body.empty()) return "nothing";
  if (!answer.may_be_told) {
    return (response.body_cut ? "more than " : "") +
           std::to_string(std::min(response.body.size(), kMaxBody)) +
           " octets (shown for public addresses alone)";
  }
  return "\"" + sanitize(response.body, kBodySample) + "\"";
}

// What is wrong with the answer, or nothing.
std::optional<Problem> judge(const net::HttpAnswer& answer, const ValidationRequest& request) {
  const std::string begin =
      "http-01 for " + request.identifier.value + ": " + source_of(answer) + " answered ";
  const net::HttpResponse& response = answer.response;
  // RFC 8555 section 8.3: only a resource that is served proves anything. An error page that echoes
  // the path would hold the token (GoDaddy, 2017).
  if (response.status != 200) {
    return Problem{.type = ProblemType::unauthorized,
                   .detail = begin + "with status " + std::to_string(response.status) + " and " +
                             sample_of(answer) +
                             ". Serve the key authorization there with status 200."};
  }
  if (response.body_cut || trim_end(response.body) != request.key_authorization) {
    return Problem{.type = ProblemType::unauthorized,
                   .detail = begin + sample_of(answer) + ", but the key authorization \"" +
                             request.key_authorization + "\" was expected."};
  }
  return std::nullopt;
}

// A server that is overloaded or starting, not one that has answered.
bool says_later(int status) {
  return status == 429 || status >= 500;
}

}  // namespace

Http01Options Http01::read_options(const JsonObject& json) {
  json.only({"port", "redirect_ports", "user_agent", "timeout_seconds"});
  Http01Options options;
  options.port = read_port(json, "port").value_or(options.port);
  options.redirect_ports = read_ports(json, "redirect_ports");
  options.user_agent = read_header_text(json, "user_agent").value_or(options.user_agent);
  options.timeout = read_timeout(json).value_or(options.timeout);
  return options;
}

Http01::Http01(Options options, net::Egress& egress)
    : options_(std::move(options)), client_(egress) {}

ValidationOutcome Http01::validate(const ValidationRequest& request, Deadline deadline) {
  ACME_CHECK(can_validate(request.identifier) && is_base64url(request.token));
  net::HttpGet get{
      .url = {.scheme = "http",
              .host = request.identifier
                          .value,  // an address is connected to as it is (RFC 8738 section 4)
              .port = options_.port,
              .path = "/.well-known/acme-challenge/" + request.token,
              .query = ""},
      .policy = net::AddressPolicy(request.addresses),
      .user_agent = options_.user_agent,
      .max_body = kMaxBody,
      .ports = options_.redirect_ports};
  if (options_.port == 80) get.url.port.reset();
  get.ports.push_back(options_.port);

  ValidationOutcome outcome;
  const auto answer = client_.get(get, deadline.at_most(options_.timeout), outcome.trail);
  if (answer) {
    outcome.problem = judge(*answer, request);
    outcome.answered = outcome.problem && !says_later(answer->response.status);
  } else {
    outcome.problem =
        network_problem(answer.error(), challenge_type(), request.identifier, options_.port);
    outcome.answered = answer.error().answered;
  }
  return outcome;
}

}  // namespace gatehouse::validators
