// What a failure is that goes away without anybody changing the request: a client is told to come
// back, and not that the server is broken.
#pragma once

namespace gatehouse {

// Beside its other base, the mark of such an exception.
class PassesByItself {
 public:
  PassesByItself() = default;
  virtual ~PassesByItself() = default;
  PassesByItself(const PassesByItself&) = default;
  PassesByItself& operator=(const PassesByItself&) = default;
};

}  // namespace gatehouse
