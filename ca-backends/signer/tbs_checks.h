// What a signer looks at itself before its key signs: whoever has taken the server over gets leaves
// and CRLs of this issuer from it, and nothing else.
#pragma once

#include <optional>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/certificate.h"

namespace gatehouse::backends {

// Why `tbs` is not the TBSCertificate of a leaf that `issuer` may issue: its name and key
// identifier, no CA, no keyCertSign or cRLSign, dates within the issuer's, another's key and name.
// `algorithm` is what the key signs with. Nothing when it is one.
std::optional<std::string> why_no_leaf(ByteView tbs, ByteView algorithm,
                                       const crypto::Certificate& issuer);

// Why `tbs` is not the TBSCertList of a CRL that `issuer` may sign. Nothing when it is one.
std::optional<std::string> why_no_crl(ByteView tbs, ByteView algorithm,
                                      const crypto::Certificate& issuer);

}  // namespace gatehouse::backends
