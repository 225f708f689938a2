// What came back is held against the expectation of its intent before it is recorded or shown.
#pragma once

#include <span>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/core/ids.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/chain_checker.h"
#include "ca-backends/backend.h"
#include "ca-backends/expectation.h"

namespace gatehouse::service {

// A certificate that is what was asked for, and who issued it.
struct CheckedCertificate {
  crypto::Certificate leaf;
  IssuerId issuer;
};

// The leaf of `issued` when it is what `expected` says: key, names, subject, usages, serial, dates,
// CRL URL, issuer, and no CA. Its signature is always verified with the issuer's key, and every
// chain (alternates too) must lead from the same leaf to a root. `issuers` are those that are known
// of the backend; `intent_made` is when the intent was made, so before anybody could have signed.
// Else a sentence for the operator. `chains` does the verifying.
Expected<CheckedCertificate, std::string> check_issued(
    const backends::Issued& issued, const backends::CertificateExpectation& expected,
    std::span<const backends::Issuer* const> issuers, Instant intent_made,
    crypto::ChainChecker& chains);

}  // namespace gatehouse::service
