// State: named values of the installation as a whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

class State {
 public:
  explicit State(sql::Connection& connection) : connection_(connection) {}

  std::optional<std::string> get(std::string_view name);
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
