// Stream sockets between processes of one machine, blocking: what the signer and its clients talk
// over.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"

namespace gatehouse::net {

// The other process is not there, went away, or was silent for too long.
class UnixStreamError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One connection. Used by one thread at a time; its owner closes it.
class UnixStream final {
 public:
  // Throws UnixStreamError, naming the path.
  static UnixStream connect(const std::string& path);

  explicit UnixStream(int descriptor) : descriptor_(descriptor) {}

  ~UnixStream();

  UnixStream(const UnixStream&) = delete;
  UnixStream& operator=(const UnixStream&) = delete;

  UnixStream(UnixStream&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

  UnixStream& operator=(UnixStream&& other) noexcept;

  // All of `bytes`, by `deadline`. Throws UnixStreamError.
  void write(ByteView bytes, Deadline deadline) const;
  // As many octets as `into` takes, by `deadline`; no deadline: whenever they come. Throws
  // UnixStreamError.
  void read(std::span<std::uint8_t> into, std::optional<Deadline> deadline) const;

  // Of the process at the other end.
  std::uint32_t peer_uid() const;

 private:
  int descriptor_;
};

// A socket in the file system to be connected to. Goes with its object.
class UnixListener final {
 public:
  enum class Access { owner, owner_and_group };  // modes 0600, 0660

  // Takes the place of a socket that nobody listens at any more. Throws UnixStreamError: it is in
  // use, something else is there, the folder is missing.
  explicit UnixListener(std::string path, Access access = Access::owner);
  ~UnixListener();
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  // Waits for the next one. Throws UnixStreamError when there can be none any more.
  UnixStream accept() const;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace gatehouse::net
