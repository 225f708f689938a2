// Under which names we answer, and whose word on the client's address we take.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/http/http.h"
#include "acme-server/web/web_options.h"

namespace gatehouse::web {

// A value: immutable, safe to share.
class Hosts {
 public:
  explicit Hosts(const WebOptions& options);

  // Whether the request's Host is base_url's, with or without the scheme's own port, or one of
  // allowed_hosts as written; in any case. No URL is ever made of it
  // (docs/adr/0008-base-url-is-configuration.md).
  bool answer_to(const http::Request& request) const;

  // What to tell a client that came with another Host: which one, which was expected, and what its
  // operator can do about it.
  std::string why_misdirected(const http::Request& request) const;

  // The client's address, for logs, limits and the audit trail; it proves nothing about who calls.
  // The peer's, or when that is a trusted proxy (a unix socket is one), the last entry of
  // X-Forwarded-For that no trusted proxy made. What does not read as an address ends the search.
  std::string client_of(const http::Request& request) const;

 private:
  bool trusts(const std::string& address) const;

  std::vector<std::string> authorities_;  // lower case
  std::vector<IpPrefix> proxies_;
};

}  // namespace gatehouse::web
