#include "acme-server/net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::net {

namespace {

// One TLS record and its overhead.
constexpr std::size_t kTransportChunk = 17 * 1024;
// What may come after the handshake besides data: tickets, and 29 octets at most for each record. A
// peer that sends records without data (KeyUpdates, say) costs us time and itself nothing.
constexpr std::size_t kMaxOverhead = std::size_t{256} * 1024;

// What our ClientHello offers, in its order: that of Go's crypto/tls, which the large CAs'
// validators are written with and which sites are tested against. A server with an RSA and an ECDSA
// key picks by it. Apache's mod_md has one certificate for a challenge, an RSA one if there is such
// a key, and shows another when ECDSA is asked for first. In TLS 1.2 the cipher suites decide, so
// RSA comes first there as well, where Go has ECDSA. Post-quantum groups, which OpenSSL 3.0 has
// not, and SHA-1 are left out.
constexpr const char* kSignatureAlgorithms =
    "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256:ed25519:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512:ecdsa_secp384r1_sha384:"
    "ecdsa_secp521r1_sha512";
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";
constexpr const char* kCiphersOfTls12 =
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-SHA";
constexpr const char* kCiphersOfTls13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// What OpenSSL last complained of, fit for a sentence; its queue is empty afterwards.
std::string take_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the handshake broke off" : reason;
}

void require(bool worked, const char* what) {
  if (!worked) throw std::runtime_error(std::string("TLS client: ") + what + ": " + take_reason());
}

Bytes alpn_wire_form(const std::vector<std::string>& protocols) {
  Bytes wire;
  for (const std::string& protocol : protocols) {
    ACME_CHECK(!protocol.empty() && protocol.size() <= 255);
    wire.push_back(static_cast<std::uint8_t>(protocol.size()));
    wire.insert(wire.end(), protocol.begin(), protocol.end());
  }
  return wire;
}

}  // namespace

// OpenSSL reads and writes memory; this moves the octets between it and the transport.
struct TlsStream::State {
  std::unique_ptr<Stream> transport;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, &SSL_free};
  BIO* incoming = nullptr;  // both owned by ssl
  BIO* outgoing = nullptr;
  std::size_t max_handshake = 0;
  std::size_t received = 0;  // during the handshake
  std::size_t overhead = 0;  // after it, without the data

  void open(const TlsOptions& options) {
    max_handshake = options.max_handshake;
    context.reset(SSL_CTX_new(TLS_client_method()));
    require(context != nullptr, "no context");
    require(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1, "TLS 1.2");
    require(SSL_CTX_set1_sigalgs_list(context.get(), kSignatureAlgorithms) == 1,
            "signature algorithms");
    require(SSL_CTX_set1_groups_list(context.get(), kGroups) == 1, "groups");
    require(SSL_CTX_set_cipher_list(context.get(), kCiphersOfTls12) == 1 &&
                SSL_CTX_set_ciphersuites(context.get(), kCiphersOfTls13) == 1,
            "cipher suites");
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    ssl.reset(SSL_new(context.get()));
    require(ssl != nullptr, "no connection");
    incoming = BIO_new(BIO_s_mem());
    outgoing = BIO_new(BIO_s_mem());
    require(incoming != nullptr && outgoing != nullptr, "no buffers");
    SSL_set_bio(ssl.get(), incoming, outgoing);
    if (!options.server_name.empty()) {
      require(SSL_set_tlsext_host_name(ssl.get(), options.server_name.c_str()) == 1, "SNI");
    }
    if (const Bytes alpn = alpn_wire_form(options.alpn); !alpn.empty()) {
      require(SSL_set_alpn_protos(ssl.get(), alpn.data(), static_cast<unsigned>(alpn.size())) == 0,
              "ALPN");
    }
    SSL_set_connect_state(ssl.get());
  }

  // Sends what OpenSSL has left to send.
  std::optional<IoError> flush(Deadline deadline) {
    std::array<std::uint8_t, kTransportChunk> chunk{};
    std::size_t count = 0;
    while (BIO_read_ex(outgoing, chunk.data(), chunk.size(), &count) == 1) {
      if (auto error = transport->write(ByteView(chunk).first(count), deadline)) return error;
    }
    return std::nullopt;
  }

  // Hands OpenSSL what the transport has. False when the peer has ended its side.
  Expected<bool, IoError> fill(Deadline deadline) {
    std::array<std::uint8_t, kTransportChunk> chunk{};
    auto count = transport->read(chunk, deadline);
    if (!count) return Unexpected{count.error()};
    if (*count == 0) return false;
    if (SSL_is_init_finished(ssl.get()) == 0 && (received += *count) > max_handshake) {
      return Unexpected{IoError{.kind = IoError::Kind::tls,
                                .detail = "sent more than " + std::to_string(max_handshake) +
                                          " octets in the TLS handshake"}};
    }
    if (SSL_is_init_finished(ssl.get()) == 1 && (overhead += *count) > kMaxOverhead) {
      return Unexpected{
          IoError{.kind = IoError::Kind::tls, .detail = "sent too many TLS records without data"}};
    }
    std::size_t written = 0;
    require(BIO_write_ex(incoming, chunk.data(), *count, &written) == 1 && written == *count,
            "buffer");
    return true;
  }

  enum class End { done, closed };

  // Repeats `step`, an OpenSSL call, until it is done: positive.
  Expected<End, IoError> run(const std::function<int()>& step, Deadline deadline) {
    while (true) {
      ERR_clear_error();
      const int result = step();
      const int want = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl.get(), result);
      // Taken now: sending what is left, an alert perhaps, may leave traces of its own.
      if (want == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE) {
        ERR_clear_error();
        throw std::bad_alloc();  // ours, not the peer's
      }
      const std::string reason = want == SSL_ERROR_SSL ? take_reason() : "";
      if (auto error = flush(deadline)) return Unexpected{*error};
      if (result > 0) return End::done;
      if (want == SSL_ERROR_ZERO_RETURN) return End::closed;
      if (want == SSL_ERROR_WANT_READ) {
        const auto filled = fill(deadline);
        if (!filled) return Unexpected{filled.error()};
        if (!*filled) return End::closed;
      } else if (want != SSL_ERROR_WANT_WRITE) {
        return Unexpected{
            IoError{.kind = IoError::Kind::tls,
                    .detail = "does not speak TLS 1.2 or later as it should: " + reason}};
      }
    }
  }
};

TlsStream::TlsStream(std::unique_ptr<State> state) : state_(std::move(state)) {}

TlsStream::~TlsStream() = default;

Expected<std::unique_ptr<TlsStream>, IoError> TlsStream::connect(std::unique_ptr<Stream> transport,
                                                                 const TlsOptions& options,
                                                                 Deadline deadline) {
  auto state = std::make_unique<State>();
  state->transport = std::move(transport);
  state->open(options);
  const auto end = state->run([&] { return SSL_do_handshake(state->ssl.get()); }, deadline);
  if (!end) return Unexpected{end.error()};
  if (*end == State::End::closed) {
    // A peer that says nothing and goes is seen as an end or as a reset, as the two meet on the
    // way: the same to whoever reads of it. One that has begun to speak has broken off.
    const bool spoke = state->received > 0;
    return Unexpected{IoError{.kind = spoke ? IoError::Kind::tls : IoError::Kind::reset,
                              .detail = "closed the connection during the TLS handshake"}};
  }
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(state)));
}

Expected<std::size_t, IoError> TlsStream::read(std::span<std::uint8_t> out, Deadline deadline) {
  std::size_t count = 0;
  const auto end = state_->run(
      [&] { return SSL_read_ex(state_->ssl.get(), out.data(), out.size(), &count); }, deadline);
  if (!end) return Unexpected{end.error()};
  if (*end == State::End::closed) return 0;
  state_->overhead -= std::min(state_->overhead, count);
  return count;
}

std::optional<IoError> TlsStream::write(ByteView bytes, Deadline deadline) {
  if (bytes.empty()) return std::nullopt;
  std::size_t count = 0;
  const auto end = state_->run(
      [&] { return SSL_write_ex(state_->ssl.get(), bytes.data(), bytes.size(), &count); },
      deadline);
  if (!end) return end.error();
  if (*end == State::End::closed)
    return IoError{.kind = IoError::Kind::reset, .detail = "closed the connection"};
  ACME_CHECK(count == bytes.size());  // no partial writes unless they are asked for
  return std::nullopt;
}

std::string TlsStream::negotiated_alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(state_->ssl.get(), &name, &size);
  return std::string(as_text({name, size}));
}

std::string TlsStream::version() const {
  return SSL_get_version(state_->ssl.get());
}

Bytes TlsStream::peer_certificate_der() const {
  X509* certificate = SSL_get0_peer_certificate(state_->ssl.get());
  if (certificate == nullptr) return {};
  const int size = i2d_X509(certificate, nullptr);
  require(size > 0, "peer certificate");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* out = der.data();
  require(i2d_X509(certificate, &out) == size, "peer certificate");
  return der;
}

}  // namespace gatehouse::net
