// An ES256 key of a client: signs JWS, and CSRs.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "acme-server/crypto/signer.h"

namespace gatehouse::bench {

class SigningKey final {
 public:
  SigningKey();

  const std::string& jwk() const { return jwk_; }

  const std::string& thumbprint() const { return thumbprint_; }

  // A flattened JWS. `key` is the member that names the key: "kid":"…" or "jwk":{…}.
  std::string jws(const std::string& key, const std::string& nonce, const std::string& url,
                  std::string_view payload);
  // base64url of a PKCS#10 request for `name`.
  std::string csr(const std::string& name);

 private:
  std::unique_ptr<crypto::Signer> signer_;
  std::string jwk_, thumbprint_;
};

}  // namespace gatehouse::bench
