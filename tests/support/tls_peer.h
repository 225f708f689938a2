// TlsPeer: the server's side of TLS on a connected socket, with a certificate that nobody would
// trust.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "acme-server/base/bytes.h"

namespace gatehouse::testing {

struct TlsPeerOptions {
  int max_version = TLS1_3_VERSION;
  std::string alpn;      // chosen if the client offers it; none: ALPN is ignored
  bool expired = false;  // the certificate's validity ended long ago
  int key_updates = 0;   // sent before the answer, each a record without data (TLS 1.3)
};

class TlsPeer {
 public:
  explicit TlsPeer(const TlsPeerOptions& options = {})
      : alpn_(options.alpn), key_updates_(options.key_updates) {
    check(key_ != nullptr && certificate_ != nullptr && context_ != nullptr);
    X509* certificate = certificate_.get();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("wrong.test"), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * kDay);
    X509_gmtime_adj(X509_getm_notAfter(certificate), options.expired ? -kDay : kDay);
    X509_set_pubkey(certificate, key_.get());
    check(X509_sign(certificate, key_.get(), EVP_sha256()) > 0);
    check(SSL_CTX_use_certificate(context_.get(), certificate) == 1);
    check(SSL_CTX_use_PrivateKey(context_.get(), key_.get()) == 1);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
    SSL_CTX_set_security_level(context_.get(), 0);  // so that it speaks old versions at all
    SSL_CTX_set_alpn_select_cb(context_.get(), &choose_alpn, this);
    SSL_CTX_set_tlsext_servername_callback(context_.get(), &note_server_name);
    SSL_CTX_set_tlsext_servername_arg(context_.get(), this);
  }

  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  // Shakes hands on `fd`, reads a request up to its blank line and answers. Gives the request; ""
  // if TLS failed.
  std::string serve(int fd, const std::string& response) {
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), &SSL_free);
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) return "";
    std::string request;
    char c = 0;
    while (request.find("\r\n\r\n") == std::string::npos && SSL_read(ssl.get(), &c, 1) == 1)
      request += c;
    for (int i = 0; i < key_updates_; ++i) {
      SSL_key_update(ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED);
      if (SSL_do_handshake(ssl.get()) != 1) break;
    }
    SSL_write(ssl.get(), response.data(), static_cast<int>(response.size()));
    SSL_shutdown(ssl.get());
    return request;
  }

  Bytes certificate_der() const {
    Bytes der(static_cast<std::size_t>(i2d_X509(certificate_.get(), nullptr)));
    unsigned char* out = der.data();
    i2d_X509(certificate_.get(), &out);
    return der;
  }

  // The name of the last client's SNI; "" for none. For when no client is being served.
  const std::string& server_name() const { return server_name_; }

 private:
  static constexpr long kDay = 24 * 3600;

  static void check(bool worked) {
    if (!worked) throw std::runtime_error("cannot make a TLS peer");
  }

  static int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* in, unsigned in_size, void* self) {
    const std::string& wanted = static_cast<TlsPeer*>(self)->alpn_;
    for (unsigned at = 0; at < in_size; at += 1U + in[at]) {
      if (!wanted.empty() && as_text({in + at + 1, in[at]}) == wanted) {
        *out = in + at + 1;
        *out_size = in[at];
        return SSL_TLSEXT_ERR_OK;
      }
    }
    return SSL_TLSEXT_ERR_NOACK;
  }

  static int note_server_name(SSL* ssl, int*, void* self) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    static_cast<TlsPeer*>(self)->server_name_ = name == nullptr ? "" : name;
    return SSL_TLSEXT_ERR_OK;
  }

  std::string alpn_;
  int key_updates_;
  std::string server_name_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> certificate_{X509_new(), &X509_free};
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_server_method()),
                                                             &SSL_CTX_free};
};

}  // namespace gatehouse::testing
