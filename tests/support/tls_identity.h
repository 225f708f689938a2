// Keys and certificates for TLS tests, made on the spot with OpenSSL alone.
#pragma once

#include <string>
#include <vector>

namespace gatehouse::testing {

struct TlsIdentity {
  std::string certificate_pem;
  std::string key_pem;
  std::string certificate_der;
};

enum class TlsUse { ca, server, client };

// A P-256 key and a certificate for `common_name` (also its DNS name), valid from yesterday for a
// year; signed by `issuer`, or by itself when null. Throws std::runtime_error.
TlsIdentity make_tls_identity(const std::string& common_name, TlsUse use = TlsUse::server,
                              const TlsIdentity* issuer = nullptr);

}  // namespace gatehouse::testing
