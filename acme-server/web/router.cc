#include "acme-server/web/router.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/text.h"
#include "acme-server/web/links.h"

namespace gatehouse::web {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

bool is_name(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

std::optional<Parameters> parameters_of(const std::vector<std::string>& pattern,
                                        const std::vector<std::string_view>& path) {
  if (pattern.size() != path.size()) {
    return std::nullopt;
  }
  Parameters parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string& segment = pattern[i];
    if (is_name(segment)) {
      if (!is_url_id(path[i])) {
        return std::nullopt;
      }
      parameters.emplace_back(segment.substr(1, segment.size() - 2), path[i]);
    } else if (segment != path[i]) {
      return std::nullopt;
    }
  }
  return parameters;
}

}  // namespace

const std::string& Call::parameter(std::string_view name) const {
  const auto found =
      std::ranges::find(parameters, name, [](const auto& p) { return std::string_view(p.first); });
  ACME_CHECK(found != parameters.end());
  return found->second;
}

Router::Route& Router::route_for(std::string_view pattern) {
  const auto known = std::ranges::find(routes_, pattern, &Route::pattern);
  if (known != routes_.end()) {
    return *known;
  }
  Route& route = routes_.emplace_back();
  route.pattern = pattern;
  const std::vector<std::string_view> segments = split(pattern, '/');
  route.segments.assign(segments.begin(), segments.end());
  return route;
}

void Router::get(std::string_view pattern, OpenEndpoint endpoint) {
  Route& route = route_for(pattern);
  ACME_CHECK(!route.get);
  route.get = std::move(endpoint.run);
}

void Router::post(std::string_view pattern, const ProvenEndpoint& endpoint) {
  Route& route = route_for(pattern);
  ACME_CHECK(!route.post);
  route.post = endpoint.run();
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  const std::vector<std::string_view> segments = split(path, '/');
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const Route& route = routes_[i];
    std::optional<Parameters> parameters = parameters_of(route.segments, segments);
    if (!parameters) {
      continue;
    }
    Match match{.route = i, .endpoint = nullptr, .parameters = std::move(*parameters)};
    if (route.get && (method == "GET" || method == "HEAD")) {
      match.endpoint = &route.get;
    } else if (route.post && method == "POST") {
      match.endpoint = &route.post;
    }
    return match;
  }
  return {};
}

std::vector<std::string> Router::patterns() const {
  std::vector<std::string> patterns;
  patterns.reserve(routes_.size());
  for (const Route& route : routes_) {
    patterns.push_back(route.pattern);
  }
  return patterns;
}

std::string Router::allowed(std::size_t route) const {
  ACME_CHECK(route < routes_.size());
  std::vector<std::string> methods;
  if (routes_[route].get) {
    methods.insert(methods.end(), {"GET", "HEAD"});
  }
  if (routes_[route].post) {
    methods.emplace_back("POST");
  }
  return join(methods, ", ");
}

}  // namespace gatehouse::web
