// Chains of certificates with the costly steps handed in: chain_checker.h remembers what they said.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

using ParseCertificate = std::function<Expected<Certificate, std::string>(ByteView der)>;
using IsSignedBy = std::function<bool(const Certificate& certificate, const Certificate& issuer)>;

// parse_pem_chain() of certificate.h.
Expected<std::vector<Certificate>, std::string> parse_pem_chain(std::string_view pem,
                                                                const ParseCertificate& parse);

// why_chain_fails() of certificate.h.
std::optional<std::string> why_chain_fails(const std::vector<Certificate>& chain,
                                           const Certificate& root, Instant now,
                                           const IsSignedBy& is_signed);

// The key that signs as `issuer`; null when of a type that we never issue.
PublicKeyRef public_key_of(const Certificate& issuer);

// True when `key` verifies the certificate's signature.
bool is_signed_with(const Certificate& certificate, const PublicKey& key);

}  // namespace gatehouse::crypto
