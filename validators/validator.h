// Validator: one way for a client to prove that it controls an identifier (RFC 8555 section 8).
// What you implement to add a challenge type: README.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/problem.h"
#include "acme-server/net/address_policy.h"

namespace gatehouse::validators {

// Everything a validator may know. None of it but the identifier was chosen by the client.
struct ValidationRequest {
  Identifier identifier;          // what is to be proven, without "*."
  std::string token;              // base64url
  std::string key_authorization;  // RFC 8555 section 8.1
  std::string account_url;
  net::AddressPolicyOptions addresses;  // the profile's: where the validator may connect
};

// Pass or fail and nothing else: a validator cannot say which identifier was proven.
struct ValidationOutcome {
  std::optional<Problem> problem;  // none: the client controls the identifier
  std::vector<std::string> trail;  // for the audit log: resolved, dialled, fetched
  // Of a problem: the target answered, and the answer is wrong (refused, NXDOMAIN, another text).
  // Such a failure is tried again sooner and less often than silence, a broken connection, SERVFAIL
  // or "later" (429, 5xx), which may pass.
  bool answered = false;
};

class Validator {
 public:
  virtual ~Validator() = default;
  virtual std::string_view challenge_type() const = 0;  // "http-01"
  // Drives which challenges an authorization offers; a wildcard comes with its "*.".
  virtual bool can_validate(const Identifier& identifier) const = 0;
  // Blocks until done or `deadline`. Safe to call from many threads. Never touches the store. A
  // throw is a failure of ours: the try is made again later and the client is told nothing.
  virtual ValidationOutcome validate(const ValidationRequest& request, Deadline deadline) = 0;
};

// The validators there are, one for each challenge type.
class ValidatorSet {
 public:
  void add(std::unique_ptr<Validator> validator) {
    ACME_CHECK(validator != nullptr && find(validator->challenge_type()) == nullptr);
    validators_.push_back(std::move(validator));
  }

  // The validator of a challenge type, or nullptr.
  Validator* find(std::string_view challenge_type) const {
    for (const auto& validator : validators_) {
      if (validator->challenge_type() == challenge_type) return validator.get();
    }
    return nullptr;
  }

  // In the order they were added.
  const std::vector<std::unique_ptr<Validator>>& all() const { return validators_; }

  // Gives them away, for who puts something round each and makes another set.
  std::vector<std::unique_ptr<Validator>> take() && { return std::move(validators_); }

 private:
  std::vector<std::unique_ptr<Validator>> validators_;
};

}  // namespace gatehouse::validators
