// LoopbackServer: a real TCP peer on 127.0.0.1 for the few tests that need sockets.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace gatehouse::testing {

// A socket bound to a free port of 127.0.0.1. Throws when there is none.
class LoopbackSocket {
 public:
  explicit LoopbackSocket(int type, std::uint16_t port = 0)
      : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (fd_ < 0 || ::bind(fd_, generic, size) != 0 || ::getsockname(fd_, generic, &size) != 0) {
      throw std::runtime_error("no socket on loopback");
    }
    port_ = ntohs(address.sin_port);
  }

  LoopbackSocket(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(const LoopbackSocket&) = delete;

  ~LoopbackSocket() { ::close(fd_); }

  int fd() const { return fd_; }

  std::uint16_t port() const { return port_; }

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

// Hands each connection, one after the other on a thread of its own, to `serve`, which does not
// close it.
class LoopbackServer {
 public:
  using Serve = std::function<void(int fd)>;

  explicit LoopbackServer(Serve serve) : serve_(std::move(serve)) {
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

  LoopbackSocket socket_{SOCK_STREAM};
  Serve serve_;
  std::thread thread_;
};

}  // namespace gatehouse::testing
