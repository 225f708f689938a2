// How long rows are kept that have ended.
#pragma once

#include <chrono>
#include <optional>

namespace gatehouse::service {

struct RetentionOptions {
  // Orders without a certificate, and authorizations without an order, after their expiry.
  std::chrono::seconds orders = std::chrono::hours(24 * 30);
  // Certificates with their orders and revocations, after notAfter; none: forever. Never shorter
  // than two lifetimes of a CRL: a revoked certificate that expired is listed on one more CRL.
  std::optional<std::chrono::seconds> certificates = {};
};

}  // namespace gatehouse::service
