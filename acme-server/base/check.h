// ACME_CHECK: what must hold if the code is right, checked in release too.
#pragma once

#include <stdexcept>
#include <string>

namespace gatehouse {

// The code is wrong. Caught where requests and jobs begin, logged as a bug, not shown to clients.
class LogicError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace gatehouse

// Throws LogicError when `condition` is false.
#define ACME_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::gatehouse::check_failed(#condition, __FILE__, __LINE__))
