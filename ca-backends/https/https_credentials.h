// What we trust of a server and what we show to it, read anew for each request: a renewed
// certificate or password counts without a restart.
#pragma once

#include <optional>
#include <string>

#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "ca-backends/https/https_options.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

struct HttpsCredentials {
  std::string ca_pem;                       // what the server's certificate must lead to
  std::optional<crypto::Certificate> ours;  // our TLS certificate
  std::string certificate_pem;              // the same with its chain; empty: none
  Secret key_pem, passphrase;               // of our certificate
  Secret password, proxy_password;
};

// Throws std::runtime_error that names the file and the next step: not readable, no certificate, a
// key that others can read, a key that is not the certificate's, a secret that is not there, a
// certificate that has ended.
HttpsCredentials read_https_credentials(const HttpsOptions& options, const BackendContext& context);

}  // namespace gatehouse::backends
