// From the files of an issuer to the Signer of its key.
#pragma once

#include <memory>
#include <string>

#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

// The key in its file, decorated. Throws std::runtime_error that names the file.
std::unique_ptr<crypto::Signer> read_key(const BackendContext& context, const IssuerFiles& files);

// Where the signer of the backend called `backend` listens: as its options say, or in the data
// directory when the server starts it.
std::string signer_socket(const std::string& backend, const SignerOptions& options,
                          const BackendContext& context);

// Throws std::runtime_error when `signer` has not the key of `issuer`.
void require_key_of(const crypto::Signer& signer, const crypto::Certificate& issuer,
                    const IssuerFiles& files);

}  // namespace gatehouse::backends
