// What verifiers would say of a leaf before it is signed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/identifier.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/name_constraints.h"
#include "ca-backends/issuers.h"

namespace gatehouse::backends {

// Why verifiers would refuse `leaf` (parse_tbs_certificate(); its signature is not looked at) below
// `issuer`, at `now` or when it ends: RFC 5280's name constraints and usages as OpenSSL reads them,
// of every CA above. A sentence that names the CA and what to do about it.
std::optional<std::string> why_not_accepted(const crypto::Certificate& leaf, const Issuer& issuer,
                                            Instant now);

// Why verifiers that take extendedKeyUsage of a CA for the usages that it may certify would refuse
// `leaf` below `cas`.
std::optional<std::string> why_usages_forbidden(const crypto::Certificate& leaf,
                                                const std::vector<crypto::Certificate>& cas);

// A name that `constraints`, those of all CAs above a leaf, leave: a DNS name unless they are of
// addresses alone. Nothing when there is none to order.
std::optional<Identifier> example_below(const std::vector<crypto::NameConstraints>& constraints);

}  // namespace gatehouse::backends
