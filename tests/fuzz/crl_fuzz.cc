// CRLs read back: what parses can be put into a builder again, and OpenSSL, which our reader does
// not ask about entries, reads the same ones in it.
#include <openssl/x509.h>

#include <memory>

#include "acme-server/base/check.h"
#include "acme-server/crypto/crl.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const auto crl = crypto::parse_crl({data, size});
  if (!crl) {
    ACME_CHECK(crl.error().starts_with("The CRL"));
    return 0;
  }
  const std::uint8_t* at = data;
  const std::unique_ptr<X509_CRL, void (*)(X509_CRL*)> theirs(
      d2i_X509_CRL(nullptr, &at, static_cast<long>(size)), X509_CRL_free);
  ACME_CHECK(theirs != nullptr && at == data + size);
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(theirs.get());
  ACME_CHECK(crl->entries.size() ==
             static_cast<std::size_t>(entries == nullptr ? 0 : sk_X509_REVOKED_num(entries)));
  crypto::CrlBuilder builder;
  for (const crypto::CrlEntry& entry : crl->entries) {
    if (entry.serial.size() <= 40) builder.add(entry);
  }
  return 0;
}
