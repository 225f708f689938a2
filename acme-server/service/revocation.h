// Revocation (RFC 8555 section 7.6): by the issuing account, by an account that holds valid authorizations for every
// name, by the certificate's own key.
#pragma once

#include <cstdint>
#include <optional>

#include "acme-server/base/bytes.h"
#include "acme-server/core/account.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

class Revocation {
 public:
  explicit Revocation(Context& context) : context_(context) {}

  // Each returns when the revocation is durable and the CRL's job is enqueued. Rejects: malformed (not a certificate of
  // ours, byte for byte; expired), alreadyRevoked, badRevocationReason (allowed: 0, 1, 3, 4, 5, 9, listed), unauthorized (403).
  void by_account(const Account& account, ByteView certificate_der, std::optional<std::int64_t> reason);
  // The key is blocked server-wide when the reason is keyCompromise (1).
  void by_key(const DirectoryId& directory, const crypto::Jwk& key, ByteView certificate_der,
              std::optional<std::int64_t> reason);

 private:
  Context& context_;
};

}  // namespace gatehouse::service
