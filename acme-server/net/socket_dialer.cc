#include "acme-server/net/socket_dialer.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/resource_exhaustion.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::net {

namespace {

constexpr int kFullBacklogPause = 10;  // ms

// A file descriptor with one owner.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}

  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }

  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  Socket& operator=(Socket&&) = delete;

  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const { return fd_; }

 private:
  int fd_;
};

// Waits until `socket` is ready for `events`. False at `deadline`.
bool wait_for(const Socket& socket, short events, Deadline deadline) {
  while (!deadline.expired()) {
    pollfd entry{.fd = socket.fd(), .events = events, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(deadline.remaining().count()));
    if (ready > 0 || (ready < 0 && errno != EINTR))
      return true;  // an error shows in the call that follows
  }
  return false;
}

// Throws when the failure is this machine's: it must not be taken for the peer's.
IoError io_error(int code) {
  throw_if_resource_exhaustion(code, "use a socket");
  const bool known = code == ECONNRESET || code == EPIPE;
  return {.kind = IoError::Kind::reset,
          .detail = known ? "broke the connection off"
                          : "broke off: " + std::generic_category().message(code)};
}

class SocketStream final : public Stream {
 public:
  explicit SocketStream(Socket socket) : socket_(std::move(socket)) {}

  // What is not there yet is waited for; what is there is not asked about first.
  Expected<std::size_t, IoError> read(std::span<std::uint8_t> out, Deadline deadline) override {
    while (!deadline.expired()) {
      const ssize_t count = ::recv(socket_.fd(), out.data(), out.size(), 0);
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno == EAGAIN) {
        if (!wait_for(socket_, POLLIN, deadline)) break;
      } else if (errno != EINTR) {
        return Unexpected{io_error(errno)};
      }
    }
    return Unexpected{
        IoError{.kind = IoError::Kind::timeout, .detail = "sent nothing more in time"}};
  }

  std::optional<IoError> write(ByteView bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      if (deadline.expired()) return too_slow();
      const ssize_t count = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(count));
      } else if (errno == EAGAIN) {
        if (!wait_for(socket_, POLLOUT, deadline)) return too_slow();
      } else if (errno != EINTR) {
        return io_error(errno);
      }
    }
    return std::nullopt;
  }

 private:
  static IoError too_slow() {
    return {.kind = IoError::Kind::timeout, .detail = "did not take the request in time"};
  }

  Socket socket_;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress address;
  if (endpoint.address.v6) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(endpoint.port);
    std::memcpy(&in6.sin6_addr, endpoint.address.octets.data(), sizeof in6.sin6_addr);
    std::memcpy(&address.storage, &in6, sizeof in6);
    address.size = sizeof in6;
  } else {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, endpoint.address.octets.data(), sizeof in.sin_addr);
    std::memcpy(&address.storage, &in, sizeof in);
    address.size = sizeof in;
  }
  return address;
}

// Throws when the failure is this machine's: it must not be taken for the peer's.
Unexpected<DialError> dial_error(int code) {
  throw_if_resource_exhaustion(code, "open a connection");
  switch (code) {
    case ECONNREFUSED:
      return {{.kind = DialError::Kind::refused, .detail = "refused the connection"}};
    case ETIMEDOUT:
      return {{.kind = DialError::Kind::timeout, .detail = "did not answer in time"}};
    default:
      return {{.kind = DialError::Kind::unreachable,
               .detail = "cannot be reached: " + std::generic_category().message(code)}};
  }
}

}  // namespace

Expected<std::unique_ptr<Stream>, DialError> SocketDialer::dial(const Endpoint& endpoint,
                                                                Deadline deadline) {
  Socket socket(::socket(endpoint.address.v6 ? AF_INET6 : AF_INET,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return dial_error(errno);

  const SocketAddress address = socket_address(endpoint);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) !=
      0) {
    if (errno != EINPROGRESS && errno != EINTR) return dial_error(errno);
    if (!wait_for(socket, POLLOUT, deadline)) return dial_error(ETIMEDOUT);
    int code = 0;
    socklen_t size = sizeof code;
    if (::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
    if (code != 0) return dial_error(code);
  }
  return std::unique_ptr<Stream>(std::make_unique<SocketStream>(std::move(socket)));
}

Expected<std::unique_ptr<Stream>, DialError> dial_unix(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return dial_error(ENAMETOOLONG);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return dial_error(errno);
  while (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // unix(7): EAGAIN says that the backlog is full; there is nothing to wait for but a moment.
    if (errno != EAGAIN && errno != EINTR)
      return dial_error(errno == ENOENT ? ECONNREFUSED : errno);
    if (deadline.expired()) return dial_error(ETIMEDOUT);
    ::poll(nullptr, 0, kFullBacklogPause);
  }
  return std::unique_ptr<Stream>(std::make_unique<SocketStream>(std::move(socket)));
}

}  // namespace gatehouse::net
