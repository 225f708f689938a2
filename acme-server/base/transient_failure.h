// TransientFailure: something that a start needs is not there yet, and comes without anybody's
// doing: the time from NTP, a resolver, room on the disk. The service manager tries again.
#pragma once

#include <stdexcept>

#include "acme-server/base/transient_error.h"

namespace gatehouse {

class TransientFailure : public std::runtime_error, public TransientError {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace gatehouse
