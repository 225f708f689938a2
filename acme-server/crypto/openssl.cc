#include "acme-server/crypto/openssl.h"

#include <openssl/err.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gatehouse::crypto {

std::string drain_openssl_errors() {
  std::string all;
  while (const unsigned long code = ERR_get_error()) {
    std::array<char, 256> text{};
    ERR_error_string_n(code, text.data(), text.size());
    if (!all.empty()) all += "; ";
    all += text.data();
  }
  return all;
}

OpenSslError::OpenSslError(std::string_view doing)
    : std::runtime_error("OpenSSL failed while " + std::string(doing) + ": " + [] {
        const std::string reasons = drain_openssl_errors();
        return reasons.empty() ? std::string("it gave no reason") : reasons;
      }()) {}

void require_openssl(bool ok, std::string_view doing) {
  if (!ok) throw OpenSslError(doing);
}

}  // namespace gatehouse::crypto
