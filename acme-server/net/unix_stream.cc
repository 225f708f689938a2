#include "acme-server/net/unix_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/resource_exhaustion.h"

namespace gatehouse::net {
namespace {

constexpr int kBacklog = 64;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw UnixStreamError("unix socket " + path + ": " + what);
}

[[noreturn]] void fail(const std::string& path, int error) {
  fail(path, std::generic_category().message(error));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    fail(path, "the path has 1 to " + std::to_string(sizeof(address.sun_path) - 1) + " characters");
  }
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

const sockaddr* raw(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

int new_socket(const std::string& path, int flags) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (descriptor < 0) fail(path, errno);
  return descriptor;
}

void wait_for(int descriptor, short events, std::optional<Deadline> deadline) {
  for (;;) {
    pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
    const int left =
        deadline ? static_cast<int>(std::min<std::int64_t>(INT_MAX, deadline->remaining().count()))
                 : -1;
    const int ready = ::poll(&waiting, 1, left);
    if (ready > 0) return;
    if (ready == 0) throw UnixStreamError("the other process did not answer in time");
    if (errno != EINTR) throw UnixStreamError(std::generic_category().message(errno));
  }
}

// A socket of a process that is gone. Anything else in its place is not ours to remove.
void remove_dead(const std::string& path, const sockaddr_un& address) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    fail(path, errno);
  }
  if (!S_ISSOCK(found.st_mode)) fail(path, "there is a file that is no socket; it is left alone");
  const int descriptor = new_socket(path, 0);
  const UnixStream owner(descriptor);
  if (::connect(descriptor, raw(address), sizeof(address)) == 0) {
    fail(path, "another process listens there");
  }
  if (errno != ECONNREFUSED) fail(path, errno);
  if (::unlink(path.c_str()) != 0) fail(path, errno);
}

}  // namespace

UnixStream UnixStream::connect(const std::string& path) {
  const sockaddr_un address = address_of(path);
  // Connecting itself does not wait but for a full backlog; it blocks, the rest does not.
  const int descriptor = new_socket(path, 0);
  UnixStream stream(descriptor);
  if (::connect(descriptor, raw(address), sizeof(address)) != 0) fail(path, errno);
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) fail(path, errno);
  return stream;
}

UnixStream::~UnixStream() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

UnixStream& UnixStream::operator=(UnixStream&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void UnixStream::write(ByteView bytes, Deadline deadline) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_for(descriptor_, POLLOUT, deadline);
    } else if (errno != EINTR) {
      throw UnixStreamError(std::generic_category().message(errno));
    }
  }
}

void UnixStream::read(std::span<std::uint8_t> into, std::optional<Deadline> deadline) const {
  while (!into.empty()) {
    const ssize_t got = ::recv(descriptor_, into.data(), into.size(), 0);
    if (got > 0) {
      into = into.subspan(static_cast<std::size_t>(got));
    } else if (got == 0) {
      throw UnixStreamError("the other process has closed the connection");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_for(descriptor_, POLLIN, deadline);
    } else if (errno != EINTR) {
      throw UnixStreamError(std::generic_category().message(errno));
    }
  }
}

std::uint32_t UnixStream::peer_uid() const {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(descriptor_, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    throw UnixStreamError(std::generic_category().message(errno));
  }
  return peer.uid;
}

UnixListener::UnixListener(std::string path, Access access) : path_(std::move(path)) {
  const sockaddr_un address = address_of(path_);
  remove_dead(path_, address);
  descriptor_ = new_socket(path_, 0);
  // Between bind() and listen() nobody can connect, so the mode is in force before it matters.
  if (::bind(descriptor_, raw(address), sizeof(address)) != 0 ||
      ::chmod(path_.c_str(), access == Access::owner ? 0600 : 0660) != 0 ||
      ::listen(descriptor_, kBacklog) != 0) {
    const int error = errno;
    ::close(descriptor_);
    fail(path_, error);
  }
}

UnixListener::~UnixListener() {
  ::close(descriptor_);
  ::unlink(path_.c_str());
}

UnixStream UnixListener::accept() const {
  for (;;) {
    const int accepted = ::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted >= 0) return UnixStream(accepted);
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (is_resource_exhaustion(errno)) {
      ::poll(nullptr, 0, 100);  // until one of ours ends
      continue;
    }
    fail(path_, errno);
  }
}

}  // namespace gatehouse::net
