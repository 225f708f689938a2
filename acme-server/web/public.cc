#include "acme-server/web/public.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates.h"
#include "acme-server/web/problem_json.h"
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

}  // namespace

http::Response serve_public(service::PublicFiles& files, const http::Request& request,
                            Instant now) {
  const std::optional<service::PublicFiles::File> file = files.find(request.target);
  if (!file) {
    return problem_response(
        {.type = ProblemType::unspecified, .detail = "There is no such file here.", .status = 404});
  }
  if (request.method != "GET" && request.method != "HEAD") {
    http::Response response = problem_response(
        {.type = ProblemType::unspecified, .detail = "Files are fetched with GET.", .status = 405});
    add(response, "Allow", "GET, HEAD");
    return response;
  }
  http::Response response;
  add(response, "Content-Type", file->content_type);
  add(response, "Cache-Control",
      "public, max-age=" + std::to_string(caching_of(*file, now).count()));
  if (file->expires) {
    add(response, "Expires", http_date(*file->expires));
  }
  if (file->modified) {
    const std::string modified = http_date(*file->modified);
    add(response, "Last-Modified", modified);
    const std::string* const known = http::find_header(request.headers, "If-Modified-Since");
    if (known != nullptr && *known == modified) {
      response.status = 304;
      return response;
    }
  }
  response.body = file->body;
  return response;
}

}  // namespace gatehouse::web
