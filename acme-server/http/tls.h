// TLS server contexts, and a connection's octets with or without TLS, as calls that never wait: who
// calls them knows when the socket is ready.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
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
// outlive it. One thread at a time. OpenSSL reads the socket through a BIO of our own, which gives
// it a bounded number of octets for each call, so that no peer keeps the calling thread: OpenSSL
// itself goes on for as long as records come that carry no data. An idle connection holds no buffer
// at all.
class Transport final {
 public:
  enum class Status {
    done,
    yields,       // there is more to do: call again once the thread's other connections had a turn
    wants_read,   // call again when the socket is readable,
    wants_write,  // or writable
    plain_http,   // from handshake(): the peer sent an HTTP request in place of a TLS record
    ended,        // the peer has closed its half, in order
    excessive,    // the peer sent more TLS records without data than is allowed
    broken        // the connection is lost, or the peer broke the protocol
  };

  struct Result {
    Status status = Status::done;
    std::size_t bytes = 0;  // with done: at least 1
  };

  // The handshake of an honest client is a dozen records; one that fragments its messages for the
  // sake of old middleboxes sends a few dozen.
  static constexpr std::size_t kMaxHandshakeRecords = 256;
  // Between two requests. An honest client sends a KeyUpdate (RFC 8446 section 5.5) after
  // gigabytes.
  static constexpr std::size_t kMaxRecordsWithoutData = 32;

  // `context` null: no TLS. Throws std::bad_alloc.
  Transport(int descriptor, const TlsContext& context);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  bool encrypted() const { return ssl_ != nullptr; }

  // Runs the TLS handshake as far as it goes; done at once without TLS.
  Status handshake();

  // Goes on without TLS, once handshake() has said plain_http. True when the request is one of
  // HEAD.
  bool abandon_tls() {
    ssl_.reset();
    return plain_head_;
  }

  Result read(std::span<char> into);

  // Starts the count of records without data anew: a request has come.
  void request_complete() { records_ = 0; }

  // Writes some of `data`, which is not empty. After wants_*, the next call must begin with the
  // same octets.
  Result write(std::string_view data);

  // Octets already taken off the socket: a wait for it to be readable could last for ever.
  bool has_pending() const;

  // Octets that have come and were not read.
  bool has_waiting() const;

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

  // What OpenSSL calls: the BIO's methods, and the callback for each record
  // (SSL_CTX_set_msg_callback).
  struct Callbacks;

  void begin_turn();
  Result outcome(int returned, std::size_t bytes);

  int descriptor_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  bool failed_ = false;          // after a fatal error OpenSSL must not be asked to shut down
  bool spoken_to_ = false;       // the peer has sent something
  bool plain_http_ = false;      // and it began as an HTTP request does
  bool plain_head_ = false;      // namely HEAD
  bool dry_ = false;             // in this turn the socket had no more
  std::size_t turn_octets_ = 0;  // that OpenSSL may still read in this turn
  std::size_t records_ = 0;      // of the handshake; then without data, since the last request
  std::size_t max_records_ = kMaxHandshakeRecords;
};

}  // namespace gatehouse::http
