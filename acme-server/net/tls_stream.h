// TlsStream: the client's side of TLS over any Stream, for looking at a server that nobody vouches
// for yet.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::net {

struct TlsOptions {
  std::string server_name;        // SNI; none for an IP address (RFC 6066 section 3)
  std::vector<std::string> alpn;  // protocols to offer, in order
  // Octets that the peer may send until the handshake is done: certificate chains in use take a few
  // thousand.
  std::size_t max_handshake = std::size_t{64} * 1024;
};

// TLS 1.2 or later, with what the validators of large CAs offer, RSA before ECDSA. The peer's
// certificate is not verified: a site that asks for a certificate has none yet, or an old one. So
// what is read over this stream proves no more than over plain TCP; tls-alpn-01 looks at the
// certificate itself.
class TlsStream final : public Stream {
 public:
  // Shakes hands over `transport`. Throws std::runtime_error when OpenSSL itself fails.
  static Expected<std::unique_ptr<TlsStream>, IoError> connect(std::unique_ptr<Stream> transport,
                                                               const TlsOptions& options,
                                                               Deadline deadline);
  ~TlsStream() override;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  Expected<std::size_t, IoError> read(std::span<std::uint8_t> out, Deadline deadline) override;
  std::optional<IoError> write(ByteView bytes, Deadline deadline) override;

  std::string negotiated_alpn() const;  // "" when none was
  std::string version() const;          // "TLSv1.3"
  Bytes peer_certificate_der() const;   // empty when there is none

 private:
  struct State;

  explicit TlsStream(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace gatehouse::net
