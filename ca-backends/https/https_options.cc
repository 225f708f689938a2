#include "ca-backends/https/https_options.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {
namespace {

constexpr std::size_t kMaxTlsPath = 4096;  // PATH_MAX
constexpr std::size_t kMaxTlsCaFiles = 16;
constexpr std::size_t kMaxHttpsUser = 256;
constexpr std::int64_t kMaxHttpsAtOnce = 32;  // the issuance lane's threads

std::string secret_in(const JsonObject& options, std::string_view name) {
  const std::string reference = options.optional_string(name, kMaxTlsPath).value_or("");
  // The text is not quoted: it may be the secret itself.
  if (!reference.empty() && !is_secret_reference(reference)) {
    throw JsonError(
        options.path_of(name) +
        R"(: must be "file:path", "env:NAME" or "credential:NAME"; a secret does not belong in this file)");
  }
  return reference;
}

// A user name and where its password is: both or neither.
void read_login(const JsonObject& options, std::string& user, std::string& password) {
  user = options.optional_string("user", kMaxHttpsUser).value_or("");
  password = secret_in(options, "password");
  if (user.empty() != password.empty()) {
    throw JsonError(options.path_of(user.empty() ? "user" : "password") +
                    ": is missing; user and password belong together");
  }
  // RFC 7617 section 2: "a user-id containing a colon character is invalid".
  if (user.find(':') != std::string::npos) {
    throw JsonError(options.path_of("user") + ": must not contain a colon");
  }
}

Url url_in(const JsonObject& options, std::string_view scheme, const std::string& example) {
  const std::string& text = options.string("url", 2048);
  const auto url = parse_url(text);
  if (!url || url->scheme != scheme || !url->query.empty()) {
    throw JsonError(options.path_of("url") + ": \"" + sanitize(text, 80) + "\" is no " +
                    std::string(scheme) + " URL without a query, such as \"" + example + "\"");
  }
  return *url;
}

void read_tls(const JsonObject& tls, HttpsOptions& read) {
  tls.only({"ca", "certificate", "key", "passphrase", "minimum"});
  if (auto files = tls.optional_strings("ca", kMaxTlsCaFiles, kMaxTlsPath)) {
    read.ca = std::move(*files);
  }
  read.certificate = tls.optional_string("certificate", kMaxTlsPath).value_or("");
  read.key = tls.optional_string("key", kMaxTlsPath).value_or("");
  read.passphrase = secret_in(tls, "passphrase");
  if (read.certificate.empty() != read.key.empty()) {
    throw JsonError(tls.path_of(read.key.empty() ? "key" : "certificate") +
                    ": is missing; certificate and key belong together");
  }
  const std::string least = tls.optional_string("minimum", 16).value_or("1.2");
  if (least != "1.2" && least != "1.3") {
    throw JsonError(tls.path_of("minimum") + ": must be \"1.2\" or \"1.3\"");
  }
  read.least_tls = least == "1.3" ? LeastTls::tls_1_3 : LeastTls::tls_1_2;
}

}  // namespace

HttpsOptions read_https_options(const JsonObject& options) {
  HttpsOptions read;
  read.url = url_in(options, "https", "https://ca.corp.example");
  if (const auto tls = options.optional_object("tls")) read_tls(*tls, read);
  if (read.ca.empty()) {
    throw JsonError(options.path_of("tls") +
                    ".ca: is missing; name the file of the CA that the server's TLS certificate "
                    "leads to: the system's own CAs are not asked");
  }
  read_login(options, read.user, read.password);
  const std::string scheme = options.optional_string("authentication", 16).value_or("basic");
  if (scheme != "basic" && scheme != "digest") {
    throw JsonError(options.path_of("authentication") + ": must be \"basic\" or \"digest\"");
  }
  read.authentication = scheme == "digest" ? HttpAuthentication::digest : HttpAuthentication::basic;
  if (const auto proxy = options.optional_object("proxy")) {
    proxy->only({"url", "user", "password"});
    HttpsProxy through{.url = url_in(*proxy, "http", "http://proxy.corp.example:3128"),
                       .user = {},
                       .password = {}};
    if (through.url.path != "/") {
      throw JsonError(proxy->path_of("url") + ": a proxy's URL has no path");
    }
    read_login(*proxy, through.user, through.password);
    read.proxy = std::move(through);
  }
  if (const auto span = optional_span(options, "timeout", std::chrono::milliseconds(100),
                                      std::chrono::minutes(10))) {
    read.timeout = *span;
  }
  read.at_once = static_cast<int>(
      options.optional_integer("at_once", 1, kMaxHttpsAtOnce).value_or(read.at_once));
  return read;
}

}  // namespace gatehouse::backends
