// What the config says of any CA that is asked: whom it may issue under, and what is accepted.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse::backends {

// Usages that a backend asks for in place of its profile's, and those that it lets pass.
struct UsageOptions {
  std::optional<std::vector<std::string>> required;  // nothing: the profile's
  std::vector<std::string> allowed;

  friend bool operator==(const UsageOptions&, const UsageOptions&) = default;
};

struct RemoteCaOptions {
  std::vector<std::string> anchors;  // files: roots; the first that a chain leads to is preferred
  std::vector<std::string> chain;    // files: issuing and intermediate CAs, in any order
  // The least that a certificate must have left when it comes; nothing: the profile's.
  std::optional<std::chrono::seconds> minimum_validity;
  UsageOptions key_usages, extended_key_usages;
  bool client_dates = false;       // the CA takes notBefore and notAfter of an order
  bool forward_ca_errors = false;  // clients read the CA's reason for a refusal
  // An order that the CA has not decided after this long is in doubt.
  std::chrono::seconds pending_limit = std::chrono::hours(24 * 7);
};

// Reads the members that every CA elsewhere has, and no others; the caller calls
// JsonObject::only(). Throws JsonError naming the option.
RemoteCaOptions read_remote_ca_options(const JsonObject& options);

// A duration ("90d") from `min` to `max`; nothing when it is missing. Throws JsonError.
std::optional<std::chrono::milliseconds> optional_span(const JsonObject& options,
                                                       std::string_view name,
                                                       std::chrono::milliseconds min,
                                                       std::chrono::milliseconds max);

// Whether `value` says where a secret is ("file:…", "env:…", "credential:…"), and is none itself.
bool is_secret_reference(std::string_view value);

}  // namespace gatehouse::backends
