// How long what has ended is kept.
#pragma once

#include <chrono>
#include <optional>

namespace gatehouse::service {

struct RetentionOptions {
  // Orders without certificate, and authorizations that no order is left of, behind their expiry.
  std::chrono::seconds orders = std::chrono::hours(24 * 30);
  // Certificates with their orders and revocations, behind notAfter; none: for good. Never shorter
  // than two lifetimes of a CRL: what was revoked and has expired stands on one more.
  std::optional<std::chrono::seconds> certificates = {};
};

}  // namespace gatehouse::service
