#include "acme-server/base/check.h"

#include <string>

namespace gatehouse {

void check_failed(const char* condition, const char* file, int line) {
  throw LogicError(std::string("bug: ") + condition + " does not hold at " + file + ":" +
                   std::to_string(line));
}

}  // namespace gatehouse
