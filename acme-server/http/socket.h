// Listening sockets and accepted ones, as the operating system gives them: no readiness, no
// threads.
#pragma once

#include <string>
#include <utility>

#include "acme-server/http/engine.h"
#include "acme-server/http/http.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

// Owns a file descriptor.
class Descriptor final {
 public:
  Descriptor() = default;

  explicit Descriptor(int number) : number_(number) {}

  ~Descriptor();

  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return number_; }

  int release() { return std::exchange(number_, -1); }

  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// A socket that listens, non-blocking. Removes the socket file that it made.
class ListeningSocket final {
 public:
  ListeningSocket(Descriptor descriptor, ListenerAddress address, std::string made_path);
  ~ListeningSocket();
  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  const ListenerAddress& address() const { return address_; }

  int get() const { return descriptor_.get(); }

  // The caller owns the descriptor from now on; the socket file stays ours to remove.
  int release() { return descriptor_.release(); }

 private:
  Descriptor descriptor_;
  ListenerAddress address_;
  std::string made_path_;
};

// Throws std::runtime_error naming the listener, the address and what is wrong.
ListeningSocket open_listener(const Listener& listener);

// Why the address cannot be listened on just now, as errno; 0 when it can. Nothing stays bound, and
// as nothing listens, two who try at the same time are not in each other's way. Throws as
// open_listener() does for what is no address.
int try_bind(const std::string& name, const TcpAddress& tcp);

enum class AcceptStatus { accepted, none_waiting, exhausted };

struct Accepted {
  AcceptStatus status = AcceptStatus::none_waiting;
  Descriptor descriptor;  // non-blocking, Nagle off
  Peer peer;              // its address or uid
};

// Takes the next connection. `exhausted`: out of descriptors or memory, so that asking again at
// once would spin.
Accepted accept_next(int listening);

}  // namespace gatehouse::http
