// A client made of a blocking socket and, where asked, OpenSSL: it sends what a test says, right or
// wrong.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/text.h"
#include "acme-server/http/engine.h"

namespace gatehouse::testing {

// No wait of a test lasts longer; reaching it is a failure.
inline constexpr int kPatienceSeconds = 20;

struct Answer {
  int status = 0;  // 0: the connection ended before an answer
  std::string head;
  std::string body;

  // The value of a field, or "<none>".
  std::string field(std::string_view name) const {
    for (const auto line : split(head, '\n')) {
      const auto colon = line.find(':');
      if (colon != std::string_view::npos && equals_ignoring_case(line.substr(0, colon), name)) {
        return std::string(trim(line.substr(colon + 1)));
      }
    }
    return "<none>";
  }
};

class Client {
 public:
  explicit Client(int family = AF_INET) : socket_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (socket_ < 0) throw std::runtime_error("no socket");
    const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  }

  ~Client() { close(); }

  Client(Client&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        ssl_(std::move(other.ssl_)),
        buffer_(std::move(other.buffer_)) {}

  Client& operator=(Client&&) = delete;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  static Client to(const http::ListenerAddress& address) {
    const bool v6 = address.address.find(':') != std::string::npos;
    Client client(!address.unix_path.empty() ? AF_UNIX : v6 ? AF_INET6 : AF_INET);
    client.connect(address);
    return client;
  }

  // From one of the machine's IPv4 addresses: 127.0.0.2, say.
  static Client from(const char* source, const http::ListenerAddress& address) {
    Client client;
    sockaddr_in own{};
    own.sin_family = AF_INET;
    inet_pton(AF_INET, source, &own.sin_addr);
    if (::bind(client.socket_, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) != 0) {
      throw std::runtime_error(std::string("cannot bind: ") + std::strerror(errno));
    }
    client.connect(address);
    return client;
  }

  void connect(const http::ListenerAddress& address) {
    int result = -1;
    if (!address.unix_path.empty()) {
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      address.unix_path.copy(to.sun_path, sizeof(to.sun_path) - 1);
      result = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    } else if (address.address.find(':') != std::string::npos) {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = htons(address.port);
      inet_pton(AF_INET6, address.address == "::" ? "::1" : address.address.c_str(), &to.sin6_addr);
      result = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    } else {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(address.port);
      inet_pton(AF_INET, address.address.c_str(), &to.sin_addr);
      result = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    }
    if (result != 0)
      throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
  }

  // False when the handshake fails. `session` to resume; `app_data` as SSL_set_app_data() takes it.
  bool start_tls(SSL_CTX* context, const char* name = "server.test", SSL_SESSION* session = nullptr,
                 void* app_data = nullptr) {
    ssl_.reset(SSL_new(context));
    SSL_set_app_data(ssl_.get(), app_data);
    SSL_set_fd(ssl_.get(), socket_);
    SSL_set_tlsext_host_name(ssl_.get(), name);
    if (session) SSL_set_session(ssl_.get(), session);
    return SSL_connect(ssl_.get()) == 1;
  }

  SSL* ssl() const { return ssl_.get(); }

  int socket() const { return socket_; }

  // False when the server has gone.
  bool send(std::string_view data) {
    while (!data.empty()) {
      const ssize_t put = ssl_ ? SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size()))
                               : ::send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      data.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }

  // The next answer. `to_head`: it has no body whatever its Content-Length says.
  Answer receive(bool to_head = false) {
    Answer answer;
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return answer;
    }
    answer.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const std::string length = answer.field("Content-Length");
    const std::size_t size = to_head || length == "<none>" ? 0 : std::stoul(length);
    while (buffer_.size() < size) {
      if (!fill()) return answer;
    }
    answer.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return answer;
  }

  Answer ask(std::string_view request) {
    send(request);
    return receive();
  }

  // Whatever still comes until the server closes.
  std::string receive_to_end() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
  }

  // The server has closed the connection, in order or by a reset, and sent nothing more.
  bool ended() { return receive_to_end().empty() && !timed_out_; }

  void finish_writing() { shutdown(socket_, SHUT_WR); }

  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  // Goes with a reset rather than a FIN.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close();
  }

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  bool fill() {
    char piece[16384];
    const ssize_t got =
        ssl_ ? SSL_read(ssl_.get(), piece, sizeof(piece)) : recv(socket_, piece, sizeof(piece), 0);
    if (got <= 0) {
      timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
      return false;
    }
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  int socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::string buffer_;
  bool timed_out_ = false;
};

}  // namespace gatehouse::testing
