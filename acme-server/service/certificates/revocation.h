// Revocation (RFC 8555 section 7.6): by the issuing account, by an account that holds valid
// authorizations for every name, by the certificate's own key.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/core/account.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/principal.h"
#include "acme-server/core/problem.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/service/context.h"

namespace gatehouse::service {

class Revocation {
 public:
  explicit Revocation(Context& context);

  // Each returns when the revocation is durable and the CRL's job is enqueued. One whose CRL no
  // backend of the config publishes is kept all the same, logged ("revocation.not_published") and
  // marked so in the audit trail, and it is published when the backend is back. Rejects: malformed
  // (not a certificate of ours, for by_account of the account's directory, byte for byte; expired),
  // alreadyRevoked, badRevocationReason (allowed: 0, 1, 3, 4, 5, 9, listed), unauthorized (403). An
  // account that did not get the certificate may say 0, 4 or 5: it proves nothing about the key or
  // its holder. `client` is the address that the request came from.
  void by_account(const Account& account, ByteView certificate_der,
                  std::optional<std::int64_t> reason, const std::string& client = {});
  // The key is blocked server-wide when the reason is keyCompromise (1).
  void by_key(const crypto::Jwk& key, ByteView certificate_der, std::optional<std::int64_t> reason,
              const std::string& client = {});
  // The operator's way, for certificates of any origin, the server's own included. keyCompromise
  // blocks the key. `actor` goes into the audit trail. Rejects as above. Returns why the revocation
  // reaches nobody for now, as a sentence; nothing when it is published.
  std::optional<std::string> by_operator(const CertificateId& id, int reason,
                                         const Principal& actor);

 private:
  // Who asks, and whether they may: proven against the row inside the transaction that revokes it.
  struct Request {
    Principal actor;
    int reason = 0;
    std::string client = {};  // the address that it came from; an operator's comes from none
    std::string unknown = "This is no certificate of this server";  // when find() gives nothing
    bool block_key =
        false;  // the key is known to be compromised, whatever becomes of the revocation
    std::function<std::optional<CertificateRecord>(store::Tx&)> find;
    std::function<std::optional<Problem>(store::Tx&, const CertificateRecord&)> why_not;
  };

  std::optional<std::string> revoke(const Request& request);
  void tell_backend(const CertificateRecord& certificate, int reason);

  Context& context_;
};

}  // namespace gatehouse::service
