// The HTTP/1.1 server: sockets, TLS, framing, limits and deadlines behind one Handler.
// docs/adr/0001-http-engine.md says why it is built on Boost.Beast; only beast_engine.cc knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

struct EngineOptions {
  Limits limits;
  std::size_t threads = 2;  // I/O loops, each with a thread of its own
};

// What a listener is bound to.
struct ListenerAddress {
  std::string listener;  // its name
  std::string address;   // IP literal; empty for a unix socket
  std::uint16_t port = 0;
  std::string unix_path;  // empty for TCP
};

// Counts since start() where the name is a past participle, else the state now.
struct Stats {
  std::uint64_t connections = 0;  // open
  std::uint64_t handshakes = 0;   // of them in the TLS handshake
  std::uint64_t idle = 0;         // of them waiting for a request
  std::uint64_t in_flight =
      0;  // requests handed to the handler whose answer is not yet written or dropped
  std::uint64_t accepted = 0;           // connections
  std::uint64_t refused = 0;            // connections closed for a limit
  std::uint64_t evicted = 0;            // idle connections closed to make room for others
  std::uint64_t handled = 0;            // requests handed to the handler
  std::uint64_t rejected = 0;           // requests the engine itself answered with 4xx
  std::uint64_t failed_handshakes = 0;  // also those that took too long
  std::uint64_t accept_pauses =
      0;  // times accept() ran out of descriptors or memory and backed off
};

// `clock`, `log` and `metrics` must outlive it. The clock is for the Date header only.
class Engine final {
 public:
  Engine(const EngineOptions& options, const Clock& clock, Log& log, Metrics& metrics);
  ~Engine();  // drain_and_stop()
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Binds every listener, then serves, once in an engine's life. Returns what was bound, in the
  // order given. Throws std::runtime_error naming the listener and the address, before anything is
  // served, when one cannot be bound or its certificate does not fit its key. Ignores SIGPIPE for
  // the process.
  std::vector<ListenerAddress> start(std::vector<Listener> listeners, Handler handler);

  // New connections of `listener` get the new certificate; open ones are not touched. Throws
  // std::runtime_error, and changes nothing, when the pair does not fit or there is no such TLS
  // listener. Any thread.
  void reload_tls(const std::string& listener, const TlsOptions& options);

  // Connections that `listener` accepts from now on are held against these Listener::proxies.
  // Throws std::runtime_error when there is no such listener. Any thread.
  void set_proxies(const std::string& listener, const std::vector<IpPrefix>& proxies);

  // Connections that are accepted from now on have these limits; those that are there keep theirs.
  // A listener that has more connections than it may now have takes no new ones until some have
  // ended. Any thread, once started.
  void set_limits(const Limits& limits);

  // Stops accepting, closes idle connections, lets requests in flight finish for at most
  // Limits::drain, closes the rest, ends the threads. True when every request in flight got its
  // answer. Safe to repeat; not from an I/O thread.
  bool drain_and_stop();

  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Raises the soft RLIMIT_NOFILE to the hard one and returns what is now in force: a connection is a
// descriptor.
std::size_t raise_descriptor_limit();

}  // namespace gatehouse::http
