// TLS server contexts, and a connection's octets with or without TLS, as calls that never wait: who
// calls them knows when the socket is ready.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

using TlsContext = std::shared_ptr<SSL_CTX>;

// Throws std::runtime_error naming `listener` when a PEM cannot be read or the key is not the
// certificate's.
TlsContext make_tls_context(const std::string& listener, const TlsOptions& options);

// One connection's octets. Does not own the descriptor, which must be a non-blocking socket and
// outlive it. One thread at a time. TLS runs straight on the socket (SSL_set_fd), so that an idle
// connection holds no buffer at all.
class Transport final {
 public:
  enum class Status {
    done,
    wants_read,   // call again when the socket is readable,
    wants_write,  // or writable
    ended,        // the peer has closed its half, in order
    broken        // the connection is lost, or the peer broke the protocol
  };

  struct Result {
    Status status = Status::done;
    std::size_t bytes = 0;  // with done: at least 1
  };

  // `context` null: no TLS. Throws std::bad_alloc.
  Transport(int descriptor, const TlsContext& context);

  bool encrypted() const { return ssl_ != nullptr; }

  // Runs the TLS handshake as far as it goes; done at once without TLS.
  Status handshake();

  Result read(std::span<char> into);

  // Writes some of `data`, which is not empty. After wants_*, the next call must begin with the
  // same octets.
  Result write(std::string_view data);

  // Octets already taken off the socket: a wait for it to be readable could last for ever.
  bool has_pending() const;

  // Says that no more will be written: close_notify, then the FIN. What does not fit into the
  // socket's buffer is left out: the answer before it has been written.
  void finish();

  // Reads what still comes and throws it away; done when there may be more, without decrypting.
  Result discard();

  // Fills in what the TLS session knows. After the handshake.
  void describe(Peer& peer) const;

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  Result outcome(int returned, std::size_t bytes);

  int descriptor_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  bool failed_ = false;  // after a fatal error OpenSSL must not be asked to shut down
};

}  // namespace gatehouse::http
