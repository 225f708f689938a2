#include "acme-server/web/hosts.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "acme-server/http/http.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {
namespace {

// All entries of all X-Forwarded-For lines, first to last.
std::vector<std::string_view> forwarded_for(const http::Request& request) {
  std::vector<std::string_view> entries;
  for (const http::Header& header : request.headers) {
    if (equals_ignoring_case(header.name, "X-Forwarded-For")) {
      for (const std::string_view entry : split(header.value, ',')) {
        entries.push_back(trim(entry));
      }
    }
  }
  return entries;
}

}  // namespace

Hosts::Hosts(const WebOptions& options) : proxies_(options.trusted_proxies) {
  const std::optional<Url> base = parse_url(options.base_url);
  ACME_CHECK(base.has_value());  // the configuration has been checked
  const std::string authority = base->authority();
  authorities_.push_back(authority);
  const std::string port = ":" + std::to_string(base->effective_port());
  if (!authority.ends_with(port)) {
    authorities_.push_back(authority + port);
  }
  for (const std::string& host : options.allowed_hosts) {
    authorities_.push_back(to_lower(host));
  }
}

bool Hosts::answer_to(const http::Request& request) const {
  const std::string* const host = http::find_header(request.headers, "Host");
  return host != nullptr && std::ranges::find(authorities_, to_lower(*host)) != authorities_.end();
}

std::string Hosts::why_misdirected(const http::Request& request) const {
  constexpr std::size_t kSample = 100;
  const std::string* const host = http::find_header(request.headers, "Host");
  const std::string came =
      host == nullptr ? "without a Host" : "for Host \"" + sanitize(*host, kSample) + "\"";
  return "The request came " + came + ", and this server answers under " + authorities_.front() +
         "; use the URLs of its directory as they are. If this is the right server, its operator "
         "can add the name to allowed_hosts, or have the proxy in front pass on the Host header "
         "that clients send (nginx: proxy_set_header Host $http_host).";
}

bool Hosts::trusts(const std::string& address) const {
  const std::optional<IpAddress> parsed = IpAddress::parse(address);
  return parsed && std::ranges::any_of(
                       proxies_, [&](const IpPrefix& proxy) { return proxy.contains(*parsed); });
}

std::string Hosts::client_of(const http::Request& request) const {
  std::string client = request.peer.address;
  if (!request.peer.uid && !trusts(client)) {
    return client;
  }
  const std::vector<std::string_view> entries = forwarded_for(request);
  for (const std::string_view entry : std::views::reverse(entries)) {
    const std::optional<IpAddress> address = IpAddress::parse(entry);
    if (!address) {
      break;
    }
    client = address->to_string();
    if (!trusts(client)) {
      break;
    }
  }
  return client;
}

}  // namespace gatehouse::web
