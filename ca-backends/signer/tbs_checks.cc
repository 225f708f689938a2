#include "ca-backends/signer/tbs_checks.h"

#include <optional>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/crl.h"
#include "acme-server/crypto/issue.h"

namespace gatehouse::backends {
namespace {

// As it stands in what the issuer signs: its own, or the one made from its key.
Bytes key_id_of(const crypto::Certificate& issuer) {
  return issuer.subject_key_id.empty() ? crypto::subject_key_id_of(issuer.spki)
                                       : issuer.subject_key_id;
}

}  // namespace

std::optional<std::string> why_no_leaf(ByteView tbs, ByteView algorithm,
                                       const crypto::Certificate& issuer) {
  const auto leaf = crypto::parse_tbs_certificate(tbs, algorithm);
  if (!leaf) return "it is no TBSCertificate under this key's algorithm: " + leaf.error();
  if (leaf->issuer_name_der != issuer.subject_name_der) return "it names another issuer";
  if (leaf->authority_key_id != key_id_of(issuer)) return "it names another issuer's key";
  if (leaf->is_ca) return "it is a CA";
  if (leaf->key_cert_sign || leaf->crl_sign) return "its key could sign certificates or CRLs";
  if (leaf->spki == issuer.spki) return "its key is the issuer's";
  if (leaf->subject_name_der == issuer.subject_name_der) return "its name is the issuer's";
  if (leaf->not_before >= leaf->not_after) return "it ends before it begins";
  if (leaf->not_before < issuer.not_before || leaf->not_after > issuer.not_after) {
    return "its dates are outside the issuer's";
  }
  return std::nullopt;
}

std::optional<std::string> why_no_crl(ByteView tbs, ByteView algorithm,
                                      const crypto::Certificate& issuer) {
  const auto crl = crypto::summarize_tbs_crl(tbs, algorithm);
  if (!crl) return "it is no TBSCertList under this key's algorithm: " + crl.error();
  if (crl->head.issuer_name_der != issuer.subject_name_der) return "it names another issuer";
  if (crl->head.authority_key_id != key_id_of(issuer)) return "it names another issuer's key";
  if (crl->head.number <= 0) return "it has no number";
  if (crl->head.this_update >= crl->head.next_update) return "it ends before it begins";
  return std::nullopt;
}

}  // namespace gatehouse::backends
