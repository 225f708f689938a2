// How long rows are kept that have ended.
#pragma once

#include <chrono>
#include <optional>

namespace gatehouse::service {

struct RetentionOptions {
  // Orders without a certificate, and authorizations without an order, after their expiry.
  std::chrono::seconds orders = std::chrono::hours(24 * 30);
  // Orders that have failed, and what did not prove their names, after they were made: who makes
  // many does not fill the disk for as long as who waits.
  std::chrono::seconds failed = std::chrono::hours(24 * 7);
  // Certificates with their orders and revocations, after notAfter; none: forever. Never shorter
  // than two lifetimes of a CRL: a revoked certificate that expired is listed on one more CRL.
  std::optional<std::chrono::seconds> certificates = {};
};

}  // namespace gatehouse::service
