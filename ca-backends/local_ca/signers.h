// From the files of an issuer to the Signer of its key.
#pragma once

#include <memory>

#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

// The key in its file, decorated. Throws std::runtime_error that names the file.
std::unique_ptr<crypto::Signer> read_key(const BackendContext& context, const IssuerFiles& files);

// Throws std::runtime_error when `signer` has not the key of `issuer`.
void require_key_of(const crypto::Signer& signer, const crypto::Certificate& issuer,
                    const IssuerFiles& files);

}  // namespace gatehouse::backends
