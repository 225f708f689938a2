// TransientError: a failure that goes away without a change to the request, so that a client is
// told to come back, and not that the server is broken.
#pragma once

namespace gatehouse {

// A second base of such an exception: catch the exception by its own type and look for this one
// with dynamic_cast.
class TransientError {
 public:
  TransientError() = default;
  virtual ~TransientError() = default;
  TransientError(const TransientError&) = default;
  TransientError& operator=(const TransientError&) = default;
};

}  // namespace gatehouse
