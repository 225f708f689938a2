// What the config says of a server that a backend talks HTTPS to.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/base/url.h"

namespace gatehouse::backends {

enum class HttpAuthentication { basic, digest };  // RFC 7617, RFC 7616

enum class LeastTls { tls_1_2, tls_1_3 };

// Passwords and passphrases are references: "file:…", "env:…" or "credential:…". Empty: none.
struct HttpsProxy {
  Url url;  // http; the server itself is reached through CONNECT
  std::string user, password;

  friend bool operator==(const HttpsProxy&, const HttpsProxy&) = default;
};

struct HttpsOptions {
  Url url;
  std::vector<std::string> ca;   // files: what the server's certificate must lead to
  std::string certificate, key;  // files: ours, leaf first, and its key; empty: none
  std::string passphrase;        // of the key
  LeastTls least_tls = LeastTls::tls_1_2;
  std::string user, password;
  HttpAuthentication authentication = HttpAuthentication::basic;
  std::optional<HttpsProxy> proxy;
  std::chrono::milliseconds timeout = std::chrono::seconds(30);  // of one request
  int at_once = 4;                                               // requests side by side
};

// Reads `url`, `tls`, `user`, `password`, `authentication`, `proxy`, `timeout` and `at_once`, and
// no others; the caller calls JsonObject::only() on `options`. Throws JsonError naming the option.
HttpsOptions read_https_options(const JsonObject& options);

}  // namespace gatehouse::backends
