// TlsAlpnPeer: a TLS server with a certificate, a key and a choice of protocol that a test gives
// it, for challenges of tls-alpn-01.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "tests/support/test_keys.h"

namespace gatehouse::testing {

struct TlsAlpnPeerOptions {
  std::vector<Bytes> certificates = {};  // DER; the first has the key, the rest is the chain
  TestKey key = TestKey::fixed(TestKey::Kind::p256);
  // A second certificate for a key of another kind, and OpenSSL's choice between the two.
  Bytes other_certificate = {};  // DER; empty: none
  TestKey other_key = TestKey::fixed(TestKey::Kind::p384);
  // What it chooses, offered or not; "": it does not know ALPN; "!": it ends the handshake with the
  // alert no_application_protocol.
  std::string alpn = "acme-tls/1";
  int min_version = TLS1_VERSION;
  int max_version = TLS1_3_VERSION;
  std::string ciphers = {};   // for TLS 1.2; "": the usual ones
  bool refuses_name = false;  // ends the handshake with the alert unrecognized_name
};

// What a client showed of itself.
struct TlsAlpnVisit {
  bool shook_hands = false;
  std::string server_name;  // SNI
  std::string offered;      // ALPN, in wire form
  std::string received;     // application data
};

class TlsAlpnPeer {
 public:
  explicit TlsAlpnPeer(TlsAlpnPeerOptions options) : options_(std::move(options)) {
    SSL_CTX* context = context_.get();
    SSL_CTX_set_security_level(context, 0);  // so that it shows and speaks what is too weak
    SSL_CTX_set_min_proto_version(context, options_.min_version);
    SSL_CTX_set_max_proto_version(context, options_.max_version);
    if (!options_.ciphers.empty())
      check(SSL_CTX_set_cipher_list(context, options_.ciphers.c_str()) == 1);
    for (std::size_t i = 0; i < options_.certificates.size(); ++i) {
      const std::uint8_t* at = options_.certificates[i].data();
      X509* certificate =
          d2i_X509(nullptr, &at, static_cast<long>(options_.certificates[i].size()));
      check(certificate != nullptr);
      if (i == 0) {
        check(SSL_CTX_use_certificate(context, certificate) == 1);
        X509_free(certificate);
      } else {
        check(SSL_CTX_add0_chain_cert(context, certificate) == 1);
      }
    }
    if (!options_.certificates.empty())
      check(SSL_CTX_use_PrivateKey(context, options_.key.handle()) == 1);
    if (!options_.other_certificate.empty()) {
      check(SSL_CTX_use_certificate_ASN1(context,
                                         static_cast<int>(options_.other_certificate.size()),
                                         options_.other_certificate.data()) == 1);
      check(SSL_CTX_use_PrivateKey(context, options_.other_key.handle()) == 1);
    }
    SSL_CTX_set_alpn_select_cb(context, &choose, this);
    SSL_CTX_set_tlsext_servername_callback(context, &note_name);
    SSL_CTX_set_tlsext_servername_arg(context, this);
  }

  TlsAlpnPeer(const TlsAlpnPeer&) = delete;
  TlsAlpnPeer& operator=(const TlsAlpnPeer&) = delete;

  // Shakes hands on `fd` and reads until the client closes. One client at a time.
  void serve(int fd) {
    visit_ = {};
    sigset_t broken_pipe;  // a client that has gone ends no test
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), &SSL_free);
    SSL_set_fd(ssl.get(), fd);
    visit_.shook_hands = SSL_accept(ssl.get()) == 1;
    char c = 0;
    while (visit_.shook_hands && SSL_read(ssl.get(), &c, 1) == 1) visit_.received += c;
  }

  // The last one. For when no client is being served.
  const TlsAlpnVisit& visit() const { return visit_; }

 private:
  static void check(bool worked) {
    if (!worked) throw std::runtime_error("cannot make a TLS server of that certificate and key");
  }

  static int choose(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void* self) {
    auto& peer = *static_cast<TlsAlpnPeer*>(self);
    peer.visit_.offered = as_text({in, in_size});
    const std::string& alpn = peer.options_.alpn;
    if (alpn.empty()) return SSL_TLSEXT_ERR_NOACK;
    if (alpn == "!") return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = as_bytes(alpn).data();
    *out_size = static_cast<unsigned char>(alpn.size());
    return SSL_TLSEXT_ERR_OK;
  }

  static int note_name(SSL* ssl, int* alert, void* self) {
    auto& peer = *static_cast<TlsAlpnPeer*>(self);
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    peer.visit_.server_name = name == nullptr ? "" : name;
    if (!peer.options_.refuses_name) return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  TlsAlpnPeerOptions options_;
  TlsAlpnVisit visit_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_server_method()),
                                                             &SSL_CTX_free};
};

}  // namespace gatehouse::testing
