#include "ca-backends/local_ca/signers.h"

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/local_ca/local_ca_options.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {

std::unique_ptr<crypto::Signer> read_key(const BackendContext& context, const IssuerFiles& files) {
  const Secret pem(context.read_key_file(files.key));
  const Secret passphrase =
      files.passphrase.empty() ? Secret() : context.resolve_secret(files.passphrase);
  try {
    return context.decorate_signer(crypto::load_signer(pem, passphrase));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(files.key + ": " + error.what());
  }
}

std::string signer_socket(const std::string& backend, const SignerOptions& options,
                          const BackendContext& context) {
  const std::filesystem::path socket =
      options.spawn
          ? std::filesystem::path(context.data_directory) / ("signer-" + backend + ".sock")
          : std::filesystem::path(context.config_folder) / options.socket;
  return socket.lexically_normal().string();
}

void require_key_of(const crypto::Signer& signer, const crypto::Certificate& issuer,
                    const IssuerFiles& files) {
  // The same key, however its SubjectPublicKeyInfo is encoded.
  const auto signing = crypto::jwk_of_spki(signer.public_key());
  if (!signing || signing != crypto::jwk_of_spki(issuer.spki)) {
    throw std::runtime_error(files.key + ": this is not the private key of the certificate in " +
                             files.certificate);
  }
}

}  // namespace gatehouse::backends
