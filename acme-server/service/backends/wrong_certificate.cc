#include "acme-server/service/backends/wrong_certificate.h"

#include <exception>
#include <optional>
#include <string>

#include "acme-server/base/deadline.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain_checker.h"
#include "acme-server/service/context.h"
#include "acme-server/store/store.h"
#include "ca-backends/backend.h"
#include "ca-backends/issuers.h"

namespace gatehouse::service {
namespace {

constexpr int kUnspecified = 0;

std::optional<IssuerId> issuer_among(const backends::Issuers& known, crypto::ChainChecker& chains,
                                     const crypto::Certificate& leaf) {
  for (const backends::Issuer& issuer : known.all) {
    if (leaf.issuer_name_der == issuer.certificate.subject_name_der &&
        chains.is_signed_by(leaf, issuer.certificate)) {
      return issuer.id;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string revoke_wrong_certificate(Context& context, const backends::Backend& backend,
                                     const backends::Issued& issued, const backends::Intent& intent,
                                     Deadline deadline) {
  const auto chain = context.chains->parse_chain(issued.chain_pem);
  if (!chain || chain->empty()) return "It is not revoked: it cannot be read.";
  const crypto::Certificate& leaf = chain->front();
  const std::string serial = "serial " + leaf.serial;
  if (crypto::spki_sha256_of(leaf.spki) != intent.expected.spki_sha256) {
    return "It is not revoked, since it is for a key that nobody sent: find out whose " + serial +
           " is at the CA.";
  }
  const auto issuer = issuer_among(*backend.certificates->issuers(), *context.chains, leaf);
  if (!issuer) return "It is not revoked: no CA of this backend has signed it.";
  const std::string by_hand = "; revoke " + serial + " at the CA.";
  try {
    if (context.store.read(
            [&](store::Tx& tx) { return tx.certificates().by_serial(*issuer, leaf.serial); })) {
      return "It is not revoked, since it is the certificate of an earlier order.";
    }
    if (backend.revoker == nullptr) return "It is not revoked: its backend cannot revoke" + by_hand;
    const backends::RevokeOutcome outcome =
        backend.revoker->revoke({.issuer = *issuer,
                                 .serial = leaf.serial,
                                 .certificate_pem = issued.chain_pem,
                                 .reason = kUnspecified},
                                deadline);
    return outcome.done ? "It is revoked: " + serial + "."
                        : "It is not revoked: " + outcome.why_not + by_hand;
  } catch (const std::exception& failure) {
    return "It is not revoked: " + std::string(failure.what()) + by_hand;
  }
}

}  // namespace gatehouse::service
