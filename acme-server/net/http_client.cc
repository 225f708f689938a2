#include "acme-server/net/http_client.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/net/address_policy.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/http_response.h"
#include "acme-server/net/network_error.h"
#include "acme-server/net/tls_stream.h"

namespace gatehouse::net {

namespace {

constexpr std::size_t kReadChunk = 4096;
constexpr std::size_t kUrlSample = 200;  // of a URL in a sentence

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

constexpr std::string_view kHidden = "what it says is shown for public addresses alone";

NetworkError io_failure(const Endpoint& endpoint, const IoError& error) {
  const auto kind =
      error.kind == IoError::Kind::tls ? NetworkError::Kind::tls : NetworkError::Kind::connection;
  return {.kind = kind,
          .detail = endpoint.to_string() + " " + error.detail,
          .answered = error.kind == IoError::Kind::tls};
}

std::string request_text(const HttpGet& request, const Url& url) {
  std::string target = url.path;
  if (!url.query.empty()) target += "?" + url.query;
  return "GET " + target + " HTTP/1.1\r\nHost: " + url.authority() +
         "\r\nUser-Agent: " + request.user_agent +
         "\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n";
}

// Puts TLS over `connection`.
std::optional<NetworkError> start_tls(Connection& connection, const Url& url, Deadline deadline,
                                      Trail& trail) {
  TlsOptions options{.server_name = url.host, .alpn = {"http/1.1"}};
  if (IpAddress::parse(url.host)) options.server_name.clear();
  if (options.server_name.ends_with('.')) options.server_name.pop_back();  // RFC 6066 section 3
  auto tls = TlsStream::connect(std::move(connection.stream), options, deadline);
  if (!tls) {
    trail.push_back("tls " + connection.endpoint.to_string() + ": " + tls.error().detail);
    NetworkError error = io_failure(connection.endpoint, tls.error());
    error.detail += " (TLS handshake)";
    return error;
  }
  trail.push_back("tls " + connection.endpoint.to_string() + ": " + (*tls)->version());
  connection.stream = std::move(*tls);
  return std::nullopt;
}

Expected<HttpResponse, NetworkError> exchange(Connection& connection, const std::string& request,
                                              std::size_t max_body, Deadline deadline,
                                              Trail& trail) {
  const auto failed = [&](const IoError& error) {
    NetworkError failure = io_failure(connection.endpoint, error);
    trail.push_back("failed: " + failure.detail);
    return Unexpected{std::move(failure)};
  };
  if (const auto error = connection.stream->write(as_bytes(request), deadline)) {
    return failed(*error);
  }
  HttpResponseParser parser(max_body);
  auto state = HttpResponseParser::State::more;
  while (state == HttpResponseParser::State::more) {
    std::array<std::uint8_t, kReadChunk> chunk{};
    const auto count = connection.stream->read(chunk, deadline);
    if (!count) return failed(count.error());
    state = *count == 0 ? parser.finish() : parser.feed(as_text(ByteView(chunk).first(*count)));
  }
  if (state == HttpResponseParser::State::failed) {
    trail.push_back("failed: " + connection.endpoint.to_string() + " " + parser.failure());
    const std::string what =
        is_global(connection.endpoint.address)
            ? parser.failure()
            : "did not answer as an HTTP/1.1 server does (" + std::string(kHidden) + ")";
    return Unexpected{NetworkError{.kind = NetworkError::Kind::response,
                                   .detail = connection.endpoint.to_string() + " " + what,
                                   .answered = true}};
  }
  trail.push_back("status " + std::to_string(parser.response().status));
  return parser.response();
}

Unexpected<NetworkError> refuse_redirect(const Url& from, const std::string& why) {
  return {{.kind = NetworkError::Kind::redirect,
           .detail = sanitize(from.to_string(), kUrlSample) + " redirects " + why,
           .answered = true}};
}

// What is said of a failure behind a server whose words are not told: where it went from there is
// one of them.
NetworkError without_details(NetworkError error, const Url& first) {
  error.detail = sanitize(first.to_string(), kUrlSample) +
                 " led to a redirect that could not be followed (" + std::string(kHidden) + ")";
  return error;
}

// Where `answer` sends us, if validation may go there.
Expected<Url, NetworkError> next_url(const HttpGet& request, const HttpAnswer& answer,
                                     const std::vector<Url>& seen) {
  const auto location = answer.response.header("location");
  if (!location) return refuse_redirect(answer.url, "without saying where to (no Location header)");
  const std::string sample = "\"" + sanitize(*location, kUrlSample) + "\"";
  const auto url = resolve_url(answer.url, *location);
  if (!url)
    return refuse_redirect(answer.url, "to " + sample + ", which is not an http or https URL");
  const std::uint16_t port = url->effective_port();
  if (port != 80 && port != 443 && std::ranges::find(request.ports, port) == request.ports.end()) {
    return refuse_redirect(answer.url, "to port " + std::to_string(port) + " (" + sample +
                                           "); validation goes to ports 80 and 443 only");
  }
  if (std::ranges::find(seen, *url) != seen.end()) {
    return refuse_redirect(answer.url, "in a circle: to " + sample + " again");
  }
  if (seen.size() > kMaxRedirects) {
    return refuse_redirect(answer.url,
                           "once more, after " + std::to_string(kMaxRedirects) + " redirects");
  }
  return *url;
}

// Says where in a chain of redirects it went wrong.
NetworkError in_context(NetworkError error, const std::vector<Url>& visited) {
  if (visited.size() < 2 || error.kind == NetworkError::Kind::redirect) return error;
  error.detail += " (at " + sanitize(visited.back().to_string(), kUrlSample) +
                  ", redirected from " +
                  sanitize(visited[visited.size() - 2].to_string(), kUrlSample) + ")";
  return error;
}

}  // namespace

Expected<HttpAnswer, NetworkError> HttpClient::fetch(const HttpGet& request, const Url& url,
                                                     Deadline deadline, Trail& trail) {
  trail.push_back("get " + sanitize(url.to_string(), kUrlSample));
  auto connection =
      egress_->connect(url.host, url.effective_port(), request.policy, deadline, trail);
  if (!connection) return Unexpected{connection.error()};
  if (url.scheme == "https") {
    if (auto error = start_tls(*connection, url, deadline, trail))
      return Unexpected{std::move(*error)};
  }
  auto response =
      exchange(*connection, request_text(request, url), request.max_body, deadline, trail);
  if (!response) return Unexpected{response.error()};
  return HttpAnswer{.response = std::move(*response),
                    .url = url,
                    .endpoint = connection->endpoint,
                    .redirects = {},
                    .may_be_told = is_global(connection->endpoint.address)};
}

Expected<HttpAnswer, NetworkError> HttpClient::get(const HttpGet& request, Deadline deadline,
                                                   Trail& trail) {
  std::vector<Url> visited = {request.url};
  bool may_be_told = true;  // all that redirected us so far
  while (true) {
    auto answer = fetch(request, visited.back(), deadline, trail);
    if (!answer) {
      return Unexpected{may_be_told ? in_context(answer.error(), visited)
                                    : without_details(answer.error(), request.url)};
    }
    may_be_told = may_be_told && answer->may_be_told;
    if (!is_redirect(answer->response.status)) {
      visited.pop_back();
      answer->redirects = std::move(visited);
      answer->may_be_told = may_be_told;
      return answer;
    }
    const auto next = next_url(request, *answer, visited);
    if (!next) {
      trail.push_back("failed: " + next.error().detail);
      return Unexpected{may_be_told ? next.error() : without_details(next.error(), request.url)};
    }
    visited.push_back(*next);
  }
}

}  // namespace gatehouse::net
