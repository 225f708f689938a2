// Whether a system call failed for what this machine or process lacks: descriptors or memory. Such
// a failure says nothing about the peer and passes by itself.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace gatehouse {

inline bool is_resource_exhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Throws std::system_error when `error` is one; `doing` says what was being done: "open a socket".
// A job that is ended by it is run again later, and no attempt of a client's is counted.
inline void throw_if_resource_exhaustion(int error, const std::string& doing) {
  if (is_resource_exhaustion(error)) {
    throw std::system_error(error, std::generic_category(), "cannot " + doing);
  }
}

}  // namespace gatehouse
