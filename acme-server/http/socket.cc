#include "acme-server/http/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "acme-server/base/match.h"
#include "acme-server/base/resource_exhaustion.h"
#include "acme-server/http/engine.h"
#include "acme-server/http/http_options.h"

namespace gatehouse::http {

namespace {

// The kernel cuts it to net.core.somaxconn: enough for a burst while accept() backs off.
constexpr int kBacklog = 4096;

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

[[noreturn]] void fail(const std::string& listener, const std::string& address,
                       const std::string& why) {
  throw std::runtime_error("listener \"" + listener + "\" cannot listen on " + address + ": " +
                           why);
}

// As fail(), for what a call of the system refused: who catches it can tell what passes by itself.
[[noreturn]] void fail_call(const std::string& listener, const std::string& address, int error) {
  throw std::system_error(error, std::generic_category(),
                          "listener \"" + listener + "\" cannot listen on " + address);
}

// What a call on sockets takes and gives, large enough for any family.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }

  template <class T>
  const T& as() const {
    return reinterpret_cast<const T&>(storage);
  }
};

struct AddressAndPort {
  std::string address;
  std::uint16_t port = 0;
};

// Empty for families without addresses. An IPv4 client of a dual-stack socket is shown as IPv4.
AddressAndPort describe(const SocketAddress& from) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (from.storage.ss_family == AF_INET) {
    const auto& v4 = from.as<sockaddr_in>();
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4.sin_port)};
  }
  if (from.storage.ss_family == AF_INET6) {
    const auto& v6 = from.as<sockaddr_in6>();
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text.data(), text.size());
    } else {
      inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    }
    return {text.data(), ntohs(v6.sin6_port)};
  }
  return {};
}

SocketAddress to_socket_address(const std::string& listener, const TcpAddress& tcp) {
  SocketAddress to;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, tcp.address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(tcp.port);
    std::memcpy(&to.storage, &v4, sizeof(v4));
    to.length = sizeof(v4);
  } else if (inet_pton(AF_INET6, tcp.address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(tcp.port);
    std::memcpy(&to.storage, &v6, sizeof(v6));
    to.length = sizeof(v6);
  } else {
    fail(listener, "\"" + tcp.address + "\"",
         "not an IP literal; write an address such as 127.0.0.1, 0.0.0.0 or ::");
  }
  return to;
}

// The address that `descriptor` is bound to.
ListenerAddress bound_address(const std::string& listener, int descriptor) {
  SocketAddress own;
  if (getsockname(descriptor, own.raw(), &own.length) != 0) {
    fail(listener, "descriptor " + std::to_string(descriptor), errno_text(errno));
  }
  ListenerAddress bound{.listener = listener, .address = {}, .port = 0, .unix_path = {}};
  if (own.storage.ss_family == AF_UNIX) {
    const auto& path = own.as<sockaddr_un>().sun_path;
    bound.unix_path.assign(path, strnlen(path, sizeof(path)));
    return bound;
  }
  auto [address, port] = describe(own);
  bound.address = std::move(address);
  bound.port = port;
  return bound;
}

void set_flag(int descriptor, int level, int option, int value) {
  // Tuning: a socket that does not know the option still serves.
  (void)setsockopt(descriptor, level, option, &value, sizeof(value));
}

// Bound, and not listening yet; none, with errno, when that is not possible.
Descriptor bind_tcp(SocketAddress& to, const TcpAddress& tcp) {
  const bool v6 = to.storage.ss_family == AF_INET6;
  Descriptor descriptor(
      socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor) return {};
  set_flag(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (v6) set_flag(descriptor.get(), IPPROTO_IPV6, IPV6_V6ONLY, tcp.v6_only ? 1 : 0);
  if (bind(descriptor.get(), to.raw(), to.length) == 0) return descriptor;
  const int error = errno;
  descriptor = {};
  errno = error;
  return {};
}

ListeningSocket open_tcp(const std::string& name, const TcpAddress& tcp) {
  auto to = to_socket_address(name, tcp);
  const bool v6 = to.storage.ss_family == AF_INET6;
  const std::string shown =
      (v6 ? "[" + tcp.address + "]" : tcp.address) + ":" + std::to_string(tcp.port);
  Descriptor descriptor = bind_tcp(to, tcp);
  if (!descriptor || listen(descriptor.get(), kBacklog) != 0) fail_call(name, shown, errno);
  auto bound = bound_address(name, descriptor.get());
  return {std::move(descriptor), std::move(bound), ""};
}

// A socket file whose process is gone refuses connections; a live one must not be taken from its
// owner.
void remove_dead_socket(const std::string& name, const std::string& path, SocketAddress& to) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) fail(name, path, "a file that is no socket is in the way");
  const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) fail(name, path, errno_text(errno));
  if (connect(probe.get(), to.raw(), to.length) == 0 || errno != ECONNREFUSED) {
    fail(name, path, "another process listens there");
  }
  if (unlink(path.c_str()) != 0) fail(name, path, errno_text(errno));
}

ListeningSocket open_unix(const std::string& name, const UnixAddress& address) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  static_assert(kMaxUnixPath == sizeof(un.sun_path) - 1);
  if (address.path.empty() || address.path.size() > kMaxUnixPath) {
    fail(name, "\"" + address.path + "\"",
         "the path of a unix socket has 1 to " + std::to_string(kMaxUnixPath) + " characters");
  }
  address.path.copy(un.sun_path, sizeof(un.sun_path) - 1);
  SocketAddress to;
  std::memcpy(&to.storage, &un, sizeof(un));
  to.length = sizeof(un);
  remove_dead_socket(name, address.path, to);

  Descriptor descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor) fail(name, address.path, errno_text(errno));
  if (bind(descriptor.get(), to.raw(), to.length) != 0) fail(name, address.path, errno_text(errno));
  auto bound = bound_address(name, descriptor.get());
  ListeningSocket made(std::move(descriptor), std::move(bound), address.path);
  // Between bind() and listen() nobody can connect, so the mode is in force before it matters.
  if (chmod(address.path.c_str(), address.mode) != 0 || listen(made.get(), kBacklog) != 0) {
    fail(name, address.path, errno_text(errno));
  }
  return made;
}

ListeningSocket adopt(const std::string& name, const InheritedSocket& inherited) {
  const std::string shown = "descriptor " + std::to_string(inherited.descriptor);
  int listening = 0;
  socklen_t length = sizeof(listening);
  if (getsockopt(inherited.descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0) {
    fail(name, shown, errno_text(errno));
  }
  if (!listening) fail(name, shown, "it is a socket that does not listen");
  const int flags = fcntl(inherited.descriptor, F_GETFL);
  if (flags < 0 || fcntl(inherited.descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(inherited.descriptor, F_SETFD, FD_CLOEXEC) != 0) {
    fail(name, shown, errno_text(errno));
  }
  auto bound = bound_address(name, inherited.descriptor);
  return {Descriptor(inherited.descriptor), std::move(bound), ""};
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (number_ >= 0) close(number_);
    number_ = other.release();
  }
  return *this;
}

ListeningSocket::ListeningSocket(Descriptor descriptor, ListenerAddress address,
                                 std::string made_path)
    : descriptor_(std::move(descriptor)),
      address_(std::move(address)),
      made_path_(std::move(made_path)) {}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      address_(std::move(other.address_)),
      made_path_(std::exchange(other.made_path_, {})) {}

ListeningSocket::~ListeningSocket() {
  if (!made_path_.empty()) unlink(made_path_.c_str());
}

int try_bind(const std::string& name, const TcpAddress& tcp) {
  auto to = to_socket_address(name, tcp);
  return bind_tcp(to, tcp) ? 0 : errno;
}

ListeningSocket open_listener(const Listener& listener) {
  return std::visit(
      Match{[&](const TcpAddress& tcp) { return open_tcp(listener.name, tcp); },
            [&](const UnixAddress& path) { return open_unix(listener.name, path); },
            [&](const InheritedSocket& socket) { return adopt(listener.name, socket); }},
      listener.address);
}

Accepted accept_next(int listening) {
  for (;;) {
    SocketAddress from;
    const int number = accept4(listening, from.raw(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (number < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {AcceptStatus::none_waiting, {}, {}};
      if (is_resource_exhaustion(errno)) return {AcceptStatus::exhausted, {}, {}};
      if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP) {
        return {AcceptStatus::none_waiting, {}, {}};  // no longer a listening socket: it was closed
      }
      continue;  // accept(2): an error of the connection that is gone again, or a signal
    }
    Accepted result{AcceptStatus::accepted, Descriptor(number), {}};
    auto [address, port] = describe(from);
    result.peer.address = std::move(address);
    result.peer.port = port;
    if (from.storage.ss_family == AF_UNIX) {
      ucred credentials{};
      socklen_t length = sizeof(credentials);
      if (getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
        result.peer.uid = credentials.uid;
      }
    } else {
      set_flag(number, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    return result;
  }
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    throw std::runtime_error("cannot read RLIMIT_NOFILE: " + errno_text(errno));
  }
  const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

}  // namespace gatehouse::http
