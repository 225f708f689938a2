// HttpsClient: one request to a CA's server over TLS, and whether the server can have read it.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/library_version.h"
#include "acme-server/net/http_response.h"
#include "ca-backends/https/https_options.h"
#include "ca-backends/registry.h"
#include "ca-backends/remote/places.h"

namespace gatehouse::backends {

struct HttpsRequest {
  std::string url;
  std::optional<std::string> body;   // none: GET; else POST
  std::vector<std::string> headers;  // "Content-Type: application/pkcs10"
};

// Certainly not received: no connection, no TLS, our certificate refused in the handshake, or no
// place among HttpsOptions::at_once.
struct HttpsNotSent {
  std::string why;
  std::optional<std::chrono::seconds> retry_after = {};
};

// The request was on its way, and no whole answer came: a time-out, a reset, an answer too long.
struct HttpsLost {
  std::string why;
};

// Any whole answer, whatever its status.
using HttpsOutcome = std::variant<net::HttpResponse, HttpsNotSent, HttpsLost>;

// HTTP/1.1 over TLS, to https URLs alone. The server's certificate must lead to HttpsOptions::ca
// and have the URL's host; the system's CAs count for nothing. Redirects are not followed, nothing
// is taken from the environment (no proxy, no .netrc), no cookies are kept, and each request has a
// connection of its own: no request is ever sent a second time by itself. Texts are fit for a log.
// Safe to call from many threads.
class HttpsClient final {
 public:
  // Throws std::runtime_error as read_https_credentials() does.
  HttpsClient(const std::string& backend, const HttpsOptions& options,
              const BackendContext& context);

  // Blocks until the deadline at most, and HttpsOptions::timeout. Never throws for what the server
  // or the files are like; files are read anew.
  HttpsOutcome send(const HttpsRequest& request, Deadline deadline);

  static constexpr std::size_t kMaxBody = std::size_t{1} << 20U;   // octets
  static constexpr std::size_t kMaxHead = std::size_t{64} * 1024;  // of all headers, octets

 private:
  const std::string backend_;
  const HttpsOptions options_;
  const BackendContext context_;
  Places places_;
};

// Retry-After as seconds or as a date (RFC 9110 section 10.2.3), at most 30 days; a date that has
// passed is 0. Nothing when there is none, or none that can be read.
std::optional<std::chrono::seconds> retry_after_of(const net::HttpResponse& answer, Instant now);

// libcurl as it is loaded.
LibraryVersion curl_version_loaded();

}  // namespace gatehouse::backends
