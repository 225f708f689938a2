// MisspeltMembers: tells the operator of clients that write a payload's member in another case.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"

namespace gatehouse::web {

// RFC 8555 has us ignore members that we do not know, and "Profile" is not "profile": the client
// gets another certificate than it meant, and nobody says a word. Safe from any thread; `log`
// outlives it.
class MisspeltMembers {
 public:
  explicit MisspeltMembers(Log& log) : log_(log) {}

  // Logs each member of `payload`, and of the objects in its arrays, that differs from one that
  // ACME knows only in case, with both names: once for each `agent` and member. What does not read
  // as a JSON object is passed over.
  void look_at(std::string_view payload, std::string_view agent);

  // Pairs of agent and member that are remembered; beyond them all are forgotten.
  static constexpr std::size_t kRemembered = 1000;

 private:
  Log& log_;
  Guarded<std::set<std::pair<std::string, std::string>>> told_;
};

}  // namespace gatehouse::web
