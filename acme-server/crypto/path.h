// Certification paths: found among certificates in any order, and shown to OpenSSL.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/expected.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::crypto {

struct Path {
  std::vector<Certificate> chain;  // from below upwards, without the root
  Certificate root;
};

// A root, as far as its names say: its signature by itself proves nothing, so it is not looked at.
bool is_self_issued(const Certificate& certificate);

// The path from `below` through certificates of `pool` that are valid at `now` to a self-issued
// one: to `root` if that is given, in the pool or not. The pool may hold whatever a CA hands out:
// any order, duplicates, expired and unrelated certificates. The error is a sentence: which issuer
// is missing, or has expired, or that several roots are reached and which.
Expected<Path, std::string> build_path(const Certificate& below, std::span<const Certificate> pool,
                                       const std::optional<Certificate>& root, Instant now);

// What OpenSSL's X509_verify_cert has against `chain` (the lowest first) under `anchor` at `at`:
// its view of names, constraints, critical extensions, usages. `anchor` need not be self-signed.
std::optional<std::string> why_openssl_refuses(const std::vector<Certificate>& chain,
                                               const Certificate& anchor, Instant at);

// What a verifier wants a certificate for: OpenSSL's -purpose any, sslserver, sslclient.
enum class Purpose { any, tls_server, tls_client };

// The same for a certificate that is still to be signed: the first one's signature is not looked
// at (parse_tbs_certificate()), everything else is, for `purpose`. OpenSSL takes a certificate as
// expired in the second of its notAfter.
std::optional<std::string> why_openssl_would_refuse(const std::vector<Certificate>& chain,
                                                    const Certificate& anchor, Purpose purpose,
                                                    Instant at);

}  // namespace gatehouse::crypto
