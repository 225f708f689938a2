// The identifiers of everything the store keeps: text that does not mix.
#pragma once

#include "acme-server/base/strong_id.h"

namespace gatehouse {

using DirectoryId = StrongId<struct DirectoryTag>;  // the directory's name in URLs: "default"
using AccountId = StrongId<struct AccountTag>;
using OrderId = StrongId<struct OrderTag>;
using AuthorizationId = StrongId<struct AuthorizationTag>;
using ChallengeId = StrongId<struct ChallengeTag>;
using CertificateId = StrongId<struct CertificateTag>;
using IssuanceId =
    StrongId<struct IssuanceTag>;  // one attempt at a certificate: an intent and its state
using IssuerId = StrongId<struct IssuerTag>;  // SHA-256 of the issuer's SubjectPublicKeyInfo, hex

}  // namespace gatehouse
