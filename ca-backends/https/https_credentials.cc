#include "ca-backends/https/https_credentials.h"

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/rfc3339.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/certificate_bag.h"
#include "acme-server/crypto/signer.h"
#include "ca-backends/https/https_options.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {
namespace {

// PEM, whatever the file is.
std::string trusted_pem(const std::string& path, const BackendContext& context) {
  const std::string content = context.read_file(path);
  const auto bag = crypto::read_certificate_bag(as_bytes(content));
  if (!bag) throw std::runtime_error(path + ": " + bag.error());
  if (!bag->unreadable.empty()) throw std::runtime_error(path + ": " + bag->unreadable.front());
  std::string pem;
  for (const crypto::Certificate& each : bag->certificates) pem += crypto::to_pem(each.der);
  return pem;
}

void read_client_certificate(const HttpsOptions& options, const BackendContext& context,
                             HttpsCredentials& read) {
  read.certificate_pem = context.read_file(options.certificate);
  auto chain = crypto::parse_pem_chain(read.certificate_pem);
  if (!chain) throw std::runtime_error(options.certificate + ": " + chain.error());
  if (chain->empty()) throw std::runtime_error(options.certificate + ": holds no certificate");
  read.ours = std::move(chain->front());
  if (!options.passphrase.empty()) read.passphrase = context.resolve_secret(options.passphrase);
  read.key_pem = Secret(context.read_key_file(options.key));
  Bytes key;
  try {
    key = crypto::load_signer(read.key_pem, read.passphrase)->public_key();
  } catch (const std::exception& error) {
    throw std::runtime_error(options.key + ": " + error.what());
  }
  if (key != read.ours->spki) {
    throw std::runtime_error(options.key + ": is not the key of the certificate in " +
                             options.certificate);
  }
  if (context.clock.now() > read.ours->not_after) {
    throw std::runtime_error(options.certificate + ": has ended on " +
                             to_rfc3339(read.ours->not_after) +
                             "; renew the certificate that this server shows to the CA");
  }
}

}  // namespace

HttpsCredentials read_https_credentials(const HttpsOptions& options,
                                        const BackendContext& context) {
  HttpsCredentials read;
  for (const std::string& path : options.ca) read.ca_pem += trusted_pem(path, context);
  if (!options.certificate.empty()) read_client_certificate(options, context, read);
  if (!options.password.empty()) read.password = context.resolve_secret(options.password);
  if (options.proxy && !options.proxy->password.empty()) {
    read.proxy_password = context.resolve_secret(options.proxy->password);
  }
  return read;
}

}  // namespace gatehouse::backends
