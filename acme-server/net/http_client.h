// HttpClient: one GET from a server that nobody trusts, redirects followed, every hop through
// Egress.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "acme-server/base/url.h"
#include "acme-server/net/egress.h"
#include "acme-server/net/http_response.h"

namespace gatehouse::net {

// RFC 8555 section 8.3 lets redirects be followed; ten is what everybody follows.
inline constexpr std::size_t kMaxRedirects = 10;

struct HttpGet {
  Url url;
  AddressPolicy policy;
  std::string user_agent;
  std::size_t max_body = 0;
  std::vector<std::uint16_t> ports;  // to which a redirect may lead, beside 80 and 443
};

struct HttpAnswer {
  HttpResponse response;
  Url url;                     // where it came from in the end
  Endpoint endpoint;           // who gave it
  std::vector<Url> redirects;  // the URLs before `url`, in order
  // Every server on the way, this one included, is_global(): what they said may be told to clients.
  // Else their URLs and content may not, but status and length.
  bool may_be_told = true;
};

// Stateless: safe to call from many threads. No proxy, no cookies, no credentials, no connection
// kept.
class HttpClient {
 public:
  // `egress` outlives this.
  explicit HttpClient(Egress& egress) : egress_(&egress) {}

  // Follows 301, 302, 303, 307 and 308 to http and https URLs on the ports allowed. Certificates of
  // https hops are not verified (a site may be here to replace an expired one), TLS 1.2 is the
  // least. An answer of any other status is an answer. Adds to `trail` what was done, for
  // operators; an error is for clients as well, and shows nothing that an address said which is not
  // global.
  Expected<HttpAnswer, NetworkError> get(const HttpGet& request, Deadline deadline, Trail& trail);

 private:
  Expected<HttpAnswer, NetworkError> fetch(const HttpGet& request, const Url& url,
                                           Deadline deadline, Trail& trail);

  Egress* egress_;
};

}  // namespace gatehouse::net
