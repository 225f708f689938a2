#include "acme-server/web/public.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/web/responses.h"

namespace gatehouse::web {
namespace {

using std::chrono::seconds;

// A new CRL is made long before the old one expires; who caches the old one for hours learns of
// revocations hours late.
constexpr seconds kLongestCaching = std::chrono::hours(1);

seconds caching_of(const service::PublicFiles::File& file, Instant now) {
  const seconds left = file.expires ? *file.expires - now : kLongestCaching;
  return std::clamp(left, seconds(0), kLongestCaching);
}

// Whether one of the entity tags in an If-None-Match is `tag`; weak ones compare as others do (RFC
// 9110 section 13.1.2).
bool names_tag(std::string_view list, std::string_view tag) {
  if (list == "*") return true;
  for (std::size_t at = list.find(tag); at != std::string_view::npos; at = list.find(tag, at + 1)) {
    // Tags are quoted, and a quote stands in none: what is found is a whole one.
    if (at == 0 || list[at - 1] == ' ' || list[at - 1] == ',' || list[at - 1] == '/') return true;
  }
  return false;
}

// RFC 9110 section 13.2.2: If-Modified-Since counts where there is no If-None-Match.
bool has_it(const http::Request& request, const service::PublicFiles::File& file) {
  if (const auto* tags = http::find_header(request.headers, "If-None-Match")) {
    return names_tag(*tags, file.tag);
  }
  const auto* since = http::find_header(request.headers, "If-Modified-Since");
  if (since == nullptr || !file.modified) return false;
  const std::optional<Instant> date = parse_http_date(*since);
  return date && *file.modified <= *date;
}

}  // namespace

http::Response serve_public(service::PublicFiles& files, const http::Request& request,
                            Instant now) {
  const std::optional<service::PublicFiles::File> file = files.find(request.target);
  if (!file) {
    reject(
        {.type = ProblemType::unspecified, .detail = "There is no such file here.", .status = 404});
  }
  if (request.method != "GET" && request.method != "HEAD") {
    reject({.type = ProblemType::unspecified,
            .detail = "Files are fetched with GET.",
            .status = 405,
            .allow = "GET, HEAD"});
  }
  http::Response response;
  add(response, "Content-Type", file->content_type);
  add(response, "Cache-Control",
      "public, max-age=" + std::to_string(caching_of(*file, now).count()));
  if (file->expires) {
    add(response, "Expires", http_date(*file->expires));
  }
  add(response, "ETag", file->tag);
  if (file->modified) add(response, "Last-Modified", http_date(*file->modified));
  if (has_it(request, *file)) {
    response.status = 304;
    return response;
  }
  response.body = file->body;
  return response;
}

}  // namespace gatehouse::web
