// OpenSSL's handles with owners, and its failures as an exception. For crypto's .cc files, net and
// http alone.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gatehouse::crypto {

template <auto Free>
struct FreeWith {
  template <class Handle>
  void operator()(Handle* handle) const {
    Free(handle);
  }
};

using BioHandle = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using BignumHandle = std::unique_ptr<BIGNUM, FreeWith<BN_clear_free>>;
using BignumContext = std::unique_ptr<BN_CTX, FreeWith<BN_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using PkeyHandle = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using X509Handle = std::unique_ptr<X509, FreeWith<X509_free>>;
using CrlHandle = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;

// Everything that stands in this thread's error queue, oldest first, in one line; the queue is
// empty afterwards. What OpenSSL leaves there would otherwise be blamed on the next call that
// looks.
std::string drain_openssl_errors();

// OpenSSL could not do what it must be able to do: no memory, no entropy, a broken library. An
// operator's failure.
class OpenSslError : public std::runtime_error {
 public:
  // `doing` is what was being done: "making a P-256 key".
  explicit OpenSslError(std::string_view doing);
};

// Throws OpenSslError when `ok` is false.
void require_openssl(bool ok, std::string_view doing);

// Takes a handle that OpenSSL gave; throws OpenSslError when there is none.
template <class Owner>
Owner require_handle(Owner handle, std::string_view doing) {
  require_openssl(handle != nullptr, doing);
  return handle;
}

}  // namespace gatehouse::crypto
