// LoopbackServer: a real TCP peer for the few tests that need sockets, on 127.0.0.1 unless they say
// otherwise.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "acme-server/base/ip_address.h"

namespace gatehouse::testing {

// A socket bound to a port of an address, which is one of this machine; 0: a free port. Throws when
// there is none.
class LoopbackSocket {
 public:
  explicit LoopbackSocket(int type, std::uint16_t port = 0,
                          const IpAddress& address = IpAddress::v4(127, 0, 0, 1))
      : address_(address), fd_(::socket(address.v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in in{};
    sockaddr_in6 in6{};
    in.sin_family = AF_INET;
    in6.sin6_family = AF_INET6;
    std::memcpy(&in.sin_addr, address.octets.data(), sizeof in.sin_addr);
    std::memcpy(&in6.sin6_addr, address.octets.data(), sizeof in6.sin6_addr);
    in.sin_port = in6.sin6_port = htons(port);
    socklen_t size = address.v6 ? sizeof in6 : sizeof in;
    auto* generic =
        address.v6 ? reinterpret_cast<sockaddr*>(&in6) : reinterpret_cast<sockaddr*>(&in);
    const int on = 1;  // a port that a test names may have served the one before
    if (port != 0) ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd_ < 0 || ::bind(fd_, generic, size) != 0 || ::getsockname(fd_, generic, &size) != 0) {
      throw std::runtime_error("no socket on " + address.to_string());
    }
    port_ = ntohs(address.v6 ? in6.sin6_port : in.sin_port);
  }

  LoopbackSocket(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(const LoopbackSocket&) = delete;

  ~LoopbackSocket() { ::close(fd_); }

  int fd() const { return fd_; }

  std::uint16_t port() const { return port_; }

  std::string endpoint() const {
    const std::string host = address_.to_string();
    return (address_.v6 ? "[" + host + "]" : host) + ":" + std::to_string(port_);
  }

 private:
  IpAddress address_;
  int fd_;
  std::uint16_t port_ = 0;
};

// Hands each connection, one after the other on a thread of its own, to `serve`, which does not
// close it.
class LoopbackServer {
 public:
  using Serve = std::function<void(int fd)>;

  explicit LoopbackServer(Serve serve, std::uint16_t port = 0,
                          const IpAddress& address = IpAddress::v4(127, 0, 0, 1))
      : socket_(SOCK_STREAM, port, address), serve_(std::move(serve)) {
    if (::listen(socket_.fd(), 16) != 0) throw std::runtime_error("cannot listen on loopback");
    thread_ = std::thread([this] { run(); });
  }

  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  ~LoopbackServer() {
    ::shutdown(socket_.fd(), SHUT_RDWR);  // wakes accept()
    thread_.join();
  }

  std::uint16_t port() const { return socket_.port(); }

  std::string endpoint() const { return socket_.endpoint(); }

  // What a client sent up to the blank line that ends an HTTP request.
  static std::string read_request(int fd) {
    std::string text;
    char c = 0;
    while (text.find("\r\n\r\n") == std::string::npos && ::recv(fd, &c, 1, 0) == 1) text += c;
    return text;
  }

  static void send_all(int fd, const std::string& text) {
    std::size_t at = 0;
    while (at < text.size()) {
      const ssize_t count = ::send(fd, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (count <= 0) return;
      at += static_cast<std::size_t>(count);
    }
  }

 private:
  void run() {
    while (true) {
      const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      serve_(fd);
      ::close(fd);
    }
  }

  LoopbackSocket socket_;
  Serve serve_;
  std::thread thread_;
};

}  // namespace gatehouse::testing
