#include "ca-backends/est/est_options.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "acme-server/base/ascii.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "acme-server/base/url.h"
#include "ca-backends/https/https_options.h"
#include "ca-backends/remote/remote_options.h"

namespace gatehouse::backends {
namespace {

// RFC 7030 section 3.2.2: a label "MUST NOT be the same as any defined operation path segment".
constexpr std::array<std::string_view, 6> kEstOperations = {
    "cacerts", "simpleenroll", "simplereenroll", "fullcmc", "serverkeygen", "csrattrs"};

bool is_operation(std::string_view segment) {
  return std::ranges::find(kEstOperations, segment) != kEstOperations.end();
}

bool is_label(std::string_view label) {
  return !label.empty() && label != "." && label != ".." && std::ranges::all_of(label, [](char c) {
    return is_alphanumeric(c) || std::string_view("-._~").find(c) != std::string_view::npos;
  });
}

std::string base_in(const JsonObject& options, Url url) {
  while (url.path.ends_with('/')) url.path.pop_back();
  if (url.path.empty()) url.path = "/.well-known/est";
  if (is_operation(std::string_view(url.path).substr(url.path.rfind('/') + 1))) {
    throw JsonError(options.path_of("url") +
                    ": ends with an operation of EST; leave that out, as in "
                    "\"https://est.corp.example/.well-known/est\"");
  }
  const std::string base = url.origin() + url.path;
  const auto label = options.optional_string("label", 128);
  if (!label) return base;
  if (!is_label(*label) || is_operation(*label)) {
    throw JsonError(options.path_of("label") + ": \"" + sanitize(*label, 40) +
                    "\" is no label: letters, digits and -._~, and not an operation of EST");
  }
  return base + "/" + *label;
}

}  // namespace

EstOptions read_est_options(const JsonObject& options) {
  options.only({"type", "url", "label", "tls", "user", "password", "authentication", "proxy",
                "timeout", "at_once", "anchors", "chain", "minimum_validity", "key_usages",
                "extended_key_usages", "pending_limit", "forward_ca_errors"});
  EstOptions read{
      .remote = read_remote_ca_options(options), .https = read_https_options(options), .base = {}};
  read.base = base_in(options, read.https.url);
  return read;
}

void check_est_options(const JsonObject& options) {
  read_est_options(options);
}

}  // namespace gatehouse::backends
