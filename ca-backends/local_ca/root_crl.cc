#include "ca-backends/local_ca/root_crl.h"

#include <stdexcept>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "ca-backends/backend.h"
#include "ca-backends/registry.h"

namespace gatehouse::backends {
namespace {

constexpr std::string_view kRootCrlFile = "/crl/root.crl";

}  // namespace

HeldRootCrl read_root_crl(const BackendContext& context, const std::string& path,
                          const crypto::Certificate& root, const crypto::Certificate& below) {
  const std::string der = context.read_file(path);
  const auto crl = crypto::parse_crl(as_bytes(der));
  if (!crl) throw std::runtime_error(path + ": " + crl.error());
  if (crl->head.issuer_name_der != root.subject_name_der ||
      !crypto::crl_is_signed_by(as_bytes(der), root)) {
    throw std::runtime_error(
        path + ": " +
        crypto::why_crl_unverifiable(as_bytes(der))
            .value_or("is not signed by the root \"" + root.subject_name + "\""));
  }
  HeldRootCrl read{.crl = {.file = std::string(kRootCrlFile),
                           .der = Bytes(as_bytes(der).begin(), as_bytes(der).end()),
                           .this_update = crl->head.this_update,
                           .next_update = crl->head.next_update},
                   .number = crl->head.number};
  for (const std::string& url : below.crl_urls) {
    if (url.starts_with(context.public_url + "/")) {
      read.crl.file = url.substr(context.public_url.size());
    }
  }
  return read;
}

}  // namespace gatehouse::backends
