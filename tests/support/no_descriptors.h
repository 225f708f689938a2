// A while in which the process gets no more descriptors.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <stdexcept>

namespace gatehouse::testing {

// From its construction to its destruction, of the whole process.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = dup(0);
    close(next);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before_.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("cannot set RLIMIT_NOFILE");
  }

  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

// What `call` throws while there are no descriptors; null when it throws nothing. It is for looking
// at when there are some again: UBSan opens a pipe to see whether an exception's address is good.
template <class Call>
std::exception_ptr thrown_without_descriptors(Call&& call) {
  const NoDescriptors none;
  try {
    call();
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

}  // namespace gatehouse::testing
