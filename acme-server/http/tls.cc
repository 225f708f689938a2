#include "acme-server/http/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

namespace {

// TLS 1.2 with forward secrecy and authenticated encryption only. TLS 1.3 has its own list, all of
// it sound.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
// A resumed session is not verified again, so a client certificate lives at most this much longer
// than it should.
constexpr long kSessionSeconds = 3600;
constexpr std::size_t kMaxCertificates =
    64;  // in one PEM: a chain has three, a list of client CAs few more
// What OpenSSL may read for one call: the smallest records are 22 octets, and a KeyUpdate of 27
// costs about 10 us.
constexpr std::size_t kTurnOctets = std::size_t{4} * 1024;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

using Certificate = std::unique_ptr<X509, FreeX509>;

// The queue's last reason, and an empty queue.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "no reason given";
}

[[noreturn]] void fail(const std::string& listener, const std::string& what) {
  throw std::runtime_error("listener \"" + listener + "\": " + what);
}

std::unique_ptr<BIO, FreeBio> reader_of(std::string_view text) {
  if (text.size() > INT_MAX) throw std::runtime_error("a PEM text of more than 2 GiB");
  std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw std::bad_alloc();
  return bio;
}

std::vector<Certificate> read_certificates(const std::string& listener, const std::string& what,
                                           std::string_view pem) {
  ERR_clear_error();
  const auto bio = reader_of(pem);
  std::vector<Certificate> certificates;
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (certificates.size() == kMaxCertificates)
      fail(listener, what + " holds too many certificates");
    certificates.push_back(std::move(next));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    fail(listener, what + " cannot be read: " + openssl_reason());
  }
  ERR_clear_error();
  if (certificates.empty()) fail(listener, what + " holds no certificate in PEM");
  return certificates;
}

void use_certificate(const std::string& listener, SSL_CTX* context, const TlsOptions& options) {
  auto chain = read_certificates(listener, "its certificate chain", options.certificate_chain_pem);
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
    fail(listener, "its certificate cannot be used: " + openssl_reason());
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
      fail(listener, "its certificate chain cannot be used: " + openssl_reason());
    }
  }
  const auto bio = reader_of(options.private_key_pem.reveal());
  // The callback keeps OpenSSL from asking the terminal for a passphrase.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const std::unique_ptr<EVP_PKEY, FreeKey> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) fail(listener, "its private key cannot be read: " + openssl_reason());
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    fail(listener, "its private key is not the certificate's: " + openssl_reason());
  }
}

void ask_for_client_certificate(const std::string& listener, SSL_CTX* context,
                                const std::string& ca_pem) {
  for (const auto& ca : read_certificates(listener, "its list of client CAs", ca_pem)) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get()) != 1 ||
        SSL_CTX_add_client_CA(context, ca.get()) != 1) {
      fail(listener, "a client CA cannot be used: " + openssl_reason());
    }
  }
  // Optional: who must hold one is the application's business, and so is what it says to those who
  // do not.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

// RFC 7301 section 3.2: no protocol in common ends the handshake, so that a client speaking another
// one is not answered.
int select_http_1_1(SSL*, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned int offered_length, void*) {
  static constexpr std::string_view kOurs = "\x08http/1.1";
  unsigned char* selected = nullptr;
  const int result = SSL_select_next_proto(
      &selected, out_length, reinterpret_cast<const unsigned char*>(kOurs.data()),
      static_cast<unsigned int>(kOurs.size()), offered, offered_length);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

void set_session_rules(const std::string& listener, SSL_CTX* context) {
  // Without a context of its own, resuming a session that has a client certificate is an error.
  const std::string id = ("gatehouse " + listener).substr(0, SSL_MAX_SSL_SESSION_ID_LENGTH);
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(id.data()),
                                 static_cast<unsigned int>(id.size()));
  SSL_CTX_set_session_cache_mode(context,
                                 SSL_SESS_CACHE_OFF);  // tickets carry it all: no memory here
  SSL_CTX_set_timeout(context, kSessionSeconds);
  SSL_CTX_set_num_tickets(context, 1);
}

Transport::Result receive(int descriptor, std::span<char> into) {
  using Status = Transport::Status;
  for (;;) {
    const ssize_t got = recv(descriptor, into.data(), into.size(), 0);
    if (got > 0) return {Status::done, static_cast<std::size_t>(got)};
    if (got == 0) return {Status::ended, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::wants_read, 0};
    if (errno != EINTR) return {Status::broken, 0};
  }
}

Transport::Result send_some(int descriptor, std::string_view data) {
  using Status = Transport::Status;
  for (;;) {
    const ssize_t put = send(descriptor, data.data(), data.size(), MSG_NOSIGNAL);
    if (put >= 0) return {Status::done, static_cast<std::size_t>(put)};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::wants_write, 0};
    if (errno != EINTR) return {Status::broken, 0};
  }
}

}  // namespace

TlsContext make_tls_context(const std::string& listener, const TlsOptions& options) {
  TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) fail(listener, "no TLS context: " + openssl_reason());
  SSL_CTX* const raw = context.get();
  const int lowest = options.min_version == TlsVersion::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (SSL_CTX_set_min_proto_version(raw, lowest) != 1 ||
      SSL_CTX_set_cipher_list(raw, kTls12Ciphers) != 1) {
    fail(listener, "TLS cannot be set up: " + openssl_reason());
  }
  SSL_CTX_set_options(
      raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // OpenSSL returns after each record without data, rather than reading on until one has some.
  SSL_CTX_clear_mode(raw, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(raw, 1);  // a record is one read(), not one for its header and one more
  SSL_CTX_set_alpn_select_cb(raw, select_http_1_1, nullptr);
  // Keeps the name in the session, so that it is known on resumption too.
  SSL_CTX_set_tlsext_servername_callback(raw, +[](SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; });
  set_session_rules(listener, raw);
  use_certificate(listener, raw, options);
  if (options.client_ca_pem) ask_for_client_certificate(listener, raw, *options.client_ca_pem);
  return context;
}

// Every octet that OpenSSL reads comes by here, so that neither a kind of record nor a version of
// OpenSSL can get round the limits.
struct Transport::Callbacks {
  static Transport& transport_of(BIO* bio) { return *static_cast<Transport*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* out, int length) {
    Transport& self = transport_of(bio);
    BIO_clear_retry_flags(bio);
    if (length <= 0 || self.records_ > self.max_records_) return -1;
    if (self.turn_octets_ == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const auto got = receive(self.descriptor_,
                             {out, std::min(static_cast<std::size_t>(length), self.turn_octets_)});
    switch (got.status) {
      case Status::done:
        self.turn_octets_ -= got.bytes;
        if (!std::exchange(self.spoken_to_, true)) {
          // A record begins with its type, 20 to 24; a request with a method in capitals.
          self.plain_http_ = *out >= 'A' && *out <= 'Z';
          self.plain_head_ = std::string_view(out, got.bytes).starts_with("HEAD ");
        }
        return self.plain_http_ ? -1 : static_cast<int>(got.bytes);
      case Status::wants_read:
        self.dry_ = true;
        BIO_set_retry_read(bio);
        return -1;
      case Status::ended:
        return 0;
      default:
        return -1;
    }
  }

  static int write(BIO* bio, const char* data, int length) {
    BIO_clear_retry_flags(bio);
    if (length <= 0) return 0;
    const auto put =
        send_some(transport_of(bio).descriptor_, {data, static_cast<std::size_t>(length)});
    if (put.status == Status::done) return static_cast<int>(put.bytes);
    if (put.status == Status::wants_write) BIO_set_retry_write(bio);
    return -1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  // For each record's header, and for much else.
  static void message(int sent, int, int type, const void*, std::size_t, SSL*, void* transport) {
    if (sent == 0 && type == SSL3_RT_HEADER) ++static_cast<Transport*>(transport)->records_;
  }

  static const BIO_METHOD* method() {
    struct Free {
      void operator()(BIO_METHOD* made) const { BIO_meth_free(made); }
    };

    static const std::unique_ptr<BIO_METHOD, Free> kMethod = [] {
      std::unique_ptr<BIO_METHOD, Free> made(
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gatehouse client"));
      if (!made || BIO_meth_set_read(made.get(), read) != 1 ||
          BIO_meth_set_write(made.get(), write) != 1 ||
          BIO_meth_set_ctrl(made.get(), control) != 1) {
        throw std::bad_alloc();
      }
      return made;
    }();
    return kMethod.get();
  }
};

Transport::Transport(int descriptor, const TlsContext& context) : descriptor_(descriptor) {
  if (!context) return;
  ssl_.reset(SSL_new(context.get()));
  BIO* const bio = ssl_ ? BIO_new(Callbacks::method()) : nullptr;
  if (!bio) {
    ERR_clear_error();
    throw std::bad_alloc();
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_msg_callback(ssl_.get(), Callbacks::message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  SSL_set_accept_state(ssl_.get());
}

void Transport::begin_turn() {
  ERR_clear_error();
  dry_ = false;
  turn_octets_ = kTurnOctets;
}

Transport::Result Transport::outcome(int returned, std::size_t bytes) {
  const int error = SSL_get_error(ssl_.get(), returned);
  if (records_ > max_records_) {
    failed_ = true;
    ERR_clear_error();
    return {Status::excessive, 0};
  }
  switch (error) {
    case SSL_ERROR_NONE:
      return {Status::done, bytes};
    case SSL_ERROR_WANT_READ:
      return {dry_ ? Status::wants_read : Status::yields, 0};
    case SSL_ERROR_WANT_WRITE:
      return {Status::wants_write, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Status::ended, 0};
    default:
      failed_ = true;
      ERR_clear_error();  // the queue is the thread's: the next connection must not find this one's
      return {plain_http_ ? Status::plain_http : Status::broken, 0};
  }
}

Transport::Status Transport::handshake() {
  if (!ssl_) return Status::done;
  begin_turn();
  const Status status = outcome(SSL_do_handshake(ssl_.get()), 0).status;
  if (status == Status::done) {
    records_ = 0;
    max_records_ = kMaxRecordsWithoutData;
  }
  return status;
}

Transport::Result Transport::read(std::span<char> into) {
  if (!ssl_) return receive(descriptor_, into);
  begin_turn();
  std::size_t bytes = 0;
  const int returned = SSL_read_ex(ssl_.get(), into.data(), into.size(), &bytes);
  if (returned == 1 && records_ > 0) --records_;  // this one had data
  return outcome(returned, bytes);
}

Transport::Result Transport::write(std::string_view data) {
  if (!ssl_) return send_some(descriptor_, data);
  begin_turn();
  std::size_t bytes = 0;
  const int returned = SSL_write_ex(ssl_.get(), data.data(), data.size(), &bytes);
  return outcome(returned, bytes);
}

bool Transport::has_pending() const {
  return ssl_ && SSL_has_pending(ssl_.get()) == 1;
}

bool Transport::has_waiting() const {
  char octet = 0;
  return has_pending() || recv(descriptor_, &octet, 1, MSG_PEEK) > 0;
}

void Transport::finish() {
  if (ssl_ && !failed_ && SSL_is_init_finished(ssl_.get())) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  shutdown(descriptor_, SHUT_WR);
}

Transport::Result Transport::discard() {
  std::array<char, 16 * 1024> waste;
  return receive(descriptor_, waste);
}

void Transport::describe(Peer& peer) const {
  if (!ssl_) return;
  peer.tls_version = SSL_get_version(ssl_.get());
  if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name)) peer.sni = name;
  const Certificate certificate(SSL_get1_peer_certificate(ssl_.get()));
  if (!certificate || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return;
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate.get(), &der);
  if (length <= 0) throw std::bad_alloc();
  peer.client_cert_der.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
}

}  // namespace gatehouse::http
